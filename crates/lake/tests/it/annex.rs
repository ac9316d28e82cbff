//! Tables that are kept elsewhere: read page by page, only what is wanted, only when they are named.

use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;
use futures::stream;
use kenshin_lake::view::Sight;
use kenshin_lake::{Annex, AnnexRows, Answer, Format, Lake, LakeError, Limits, Question};

use crate::search::service;
use crate::{NOW, lake};

/// A page has so many rows.
const PAGE: i64 = 4_096;

/// Owners of ports, page by page; what is read of it is written down.
#[derive(Debug, Default)]
struct Owners {
    pages: i64,
    /// Which columns were wanted, once for each page that was read.
    read: Arc<Mutex<Vec<Vec<usize>>>>,
    /// What is said behind the last page.
    breaks: Option<&'static str>,
}

impl Annex for Owners {
    fn name(&self) -> &'static str {
        "owners"
    }

    fn schema(&self) -> SchemaRef {
        let number = |name: &str| Field::new(name, DataType::Int64, true);
        Arc::new(Schema::new(vec![number("port"), Field::new("owner", DataType::Utf8, true), number("paid")]))
    }

    fn rows(&self, columns: &[usize]) -> AnnexRows {
        let (schema, columns, read) = (self.schema(), columns.to_vec(), self.read.clone());
        let pages = stream::iter(0..self.pages).map(move |page| {
            read.lock().unwrap().push(columns.clone());
            let ports: Vec<i64> = (page * PAGE..(page + 1) * PAGE).collect();
            let owners: StringArray = ports.iter().map(|port| Some(format!("owner {}", port % 7))).collect();
            let paid: Int64Array = ports.iter().map(|port| (port % 2 == 0).then_some(*port)).collect();
            let whole: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from(ports)), Arc::new(owners), Arc::new(paid)];
            let wanted = columns.iter().map(|place| whole[*place].clone()).collect();
            let rows = RecordBatchOptions::new().with_row_count(Some(PAGE as usize));
            Ok(RecordBatch::try_new_with_options(Arc::new(schema.project(&columns)?), wanted, &rows)?)
        });
        pages.chain(stream::iter(self.breaks.map(|why| Err(why.into())))).boxed()
    }
}

async fn ask(lake: &Lake, sql: &str, owners: Owners, limits: Limits) -> Result<Answer, LakeError> {
    let annexes: Vec<Arc<dyn Annex>> = vec![Arc::new(owners)];
    lake.ask(&Question { sql: sql.into(), sight: Sight::Only(Vec::new()), limits, places: None, annexes })
        .await
}

#[tokio::test]
async fn a_table_kept_elsewhere_is_asked_with_those_of_the_lake() {
    let (_folder, lake) = lake().await;
    let rows = (0..20).map(|host| service(&format!("192.0.2.{host} {} telnet", 20 + host % 3))).collect();
    lake.whole().add(rows, &[(crate::batch(1, vec![]).header.sensor_id, 1)].into()).await.unwrap();
    let all = async |sql: &str| {
        let annexes: Vec<Arc<dyn Annex>> = vec![Arc::new(Owners { pages: 3, ..Owners::default() })];
        let limits = Limits::default();
        let question = Question { sql: sql.into(), sight: Sight::All, limits, places: None, annexes };
        lake.ask(&question).await.map(|answer| answer.render(Format::Csv).unwrap())
    };
    let sql = "SELECT owner, count(*) AS n, sum(paid) AS paid FROM services JOIN owners USING (port) GROUP BY 1 ORDER BY 1";
    assert_eq!(all(sql).await.unwrap(), "owner,n,paid\nowner 0,7,\nowner 1,6,132\nowner 6,7,140\n");
    let sql = "SELECT count(*) AS n, count(paid) AS paid, max(port) AS last FROM datafusion.public.owners";
    assert_eq!(all(sql).await.unwrap(), "n,paid,last\n12288,6144,12287\n");
    let sql = "SELECT a.port FROM owners a JOIN owners b ON a.port = b.port + 12287";
    assert_eq!(all(sql).await.unwrap(), "port\n12287\n");
    assert!(all("EXPLAIN SELECT * FROM owners").await.unwrap().contains("StreamingTableExec"));
    assert!(all("SELECT * FROM stored.owners").await.is_err());
    assert!(all("SELECT nothing FROM owners").await.is_err());
    assert!(
        lake.query("SELECT * FROM owners", Limits::default()).await.is_err(),
        "a question brings its own"
    );
}

#[tokio::test]
async fn of_a_table_kept_elsewhere_no_more_is_read_than_is_wanted() {
    let (_folder, lake) = lake().await;
    lake.commit(&[crate::batch(1, vec![crate::observation("192.0.2.1", "x")])], NOW).await.unwrap();
    let read = async |sql: &str| {
        let owners = Owners { pages: 50, ..Owners::default() };
        let read = owners.read.clone();
        let answered = ask(&lake, sql, owners, Limits::default()).await;
        (answered, read.lock().unwrap().clone())
    };
    // Not named, or only spoken of.
    for sql in ["SELECT count(*) FROM services", "SELECT 'owners' AS owners", "DESCRIBE owners"] {
        assert!(read(sql).await.1.is_empty(), "{sql}");
    }
    let (answered, pages) = read("SELECT port FROM owners WHERE paid > 0 ORDER BY port DESC LIMIT 1").await;
    assert_eq!(answered.unwrap().render(Format::Csv).unwrap(), "port\n204798\n");
    assert_eq!(pages, vec![vec![0, 2]; 50]);
    let (answered, pages) = read("SELECT count(*) AS n FROM owners").await;
    assert_eq!(answered.unwrap().render(Format::Csv).unwrap(), "n\n204800\n");
    assert_eq!(pages, vec![Vec::<usize>::new(); 50]);
    let (answered, pages) = read("SELECT owner FROM owners LIMIT 5").await;
    assert_eq!(answered.unwrap().rows(), 5);
    assert!(pages.len() <= 2 && pages[0] == [1], "{pages:?}");
}

#[tokio::test]
async fn a_table_kept_elsewhere_stands_within_limits_and_says_when_it_breaks() {
    let (_folder, lake) = lake().await;
    let broken = || Owners { pages: 2, breaks: Some("the cellar is flooded"), ..Owners::default() };
    for sql in ["SELECT owner, count(*) FROM owners GROUP BY 1", "SELECT * FROM owners"] {
        let error = ask(&lake, sql, broken(), Limits::default()).await.unwrap_err();
        let LakeError::Annex { table: "owners", source } = &error else { panic!("{sql}: {error:?}") };
        assert_eq!(source.to_string(), "the cellar is flooded");
        assert_eq!(error.to_string(), "failed to read the table `owners`");
    }
    let many = || Owners { pages: 300, ..Owners::default() };
    let few = Limits { rows: 1_000, ..Limits::default() };
    let error = ask(&lake, "SELECT * FROM owners", many(), few).await;
    assert!(matches!(error, Err(LakeError::Limit { limit: 1_000, unit: "rows" })));
    // What operators keep of it is counted.
    let little = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    let sql = "SELECT count(*) FROM (SELECT port, count(*) AS n FROM owners GROUP BY 1) a JOIN owners b ON a.n = b.paid";
    let error = ask(&lake, sql, many(), little).await;
    assert!(matches!(&error, Err(LakeError::Large { message }) if message.contains("memory")), "{error:?}");
    let error = ask(&lake, "EXPLAIN SELECT * FROM owners", many(), Limits::default()).await;
    assert!(matches!(error, Err(LakeError::Query { .. })), "not for those who do not see all");
}
