//! Arrow Flight SQL on loopback, by arrow-flight's own client: the same rows as over HTTP, the same policy.

use std::fmt::Write;
use std::time::Duration;

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    Any, Command, CommandGetDbSchemas, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementQuery,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, IpcMessage, Ticket};
use arrow_schema::{ArrowError, DataType, Schema};
use axum::http::{Method, StatusCode};
use futures::{StreamExt, TryStreamExt, stream};
use kenshin_lake::{Answer, Format};
use kenshin_web::{Role, policy};
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::search::{add, service};
use crate::world::{PASSWORD, World};

type Client = FlightSqlServiceClient<Channel>;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/web/calls.txt");
const NAMES: &str = "SELECT addr, product, banner, port FROM services ORDER BY addr, port";

/// A world with services at two providers, and its door for Flight.
struct Door {
    world: World,
    channel: Channel,
    _stop: oneshot::Sender<()>,
}

impl Door {
    async fn open() -> Self {
        let world = World::new().await;
        let rows = vec![service("192.0.2.7", 23, "A"), service("198.51.100.7", 23, "Other")];
        add(&world, 1, rows).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let web = world.web.clone();
        tokio::spawn(async move {
            kenshin_web::serve_flight(listener, None, &web, async { drop(stopped.await) }).await;
        });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { world, channel, _stop: stop }
    }

    fn stranger(&self) -> Client {
        Client::new(self.channel.clone())
    }

    async fn sign_in(&self, login: &str) -> Client {
        let mut client = self.stranger();
        client.handshake(login, PASSWORD).await.unwrap();
        assert!(client.token().is_some(), "{login} has a token");
        client
    }
}

/// Everything that was answered, as JSON.
async fn rows(client: &mut Client, info: FlightInfo) -> Result<Value, FlightError> {
    let schema: Schema = info.clone().try_decode_schema()?;
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flow = client.do_get(ticket).await?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = flow.try_next().await? {
        assert_eq!(*batch.schema(), schema, "columns are as they were announced");
        batches.push(batch);
    }
    assert_eq!(flow.schema().map(|told| told.as_ref()), Some(&schema), "told even when there is no row");
    let answer = Answer { schema: schema.into(), batches };
    Ok(serde_json::from_str(&answer.render(Format::Json).unwrap()).unwrap())
}

async fn ask(client: &mut Client, sql: &str) -> Result<Value, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    rows(client, info).await
}

/// The status with which a call ended.
fn refused<T>(result: Result<T, FlightError>) -> Status {
    match result.err().expect("the call is refused") {
        FlightError::Tonic(status) => *status,
        other => panic!("not the server's word: {other}"),
    }
}

#[tokio::test]
async fn rows_are_those_of_sql_over_http() {
    let door = Door::open().await;
    let lines = [
        NAMES,
        "SELECT count(*) AS n, max(seen_us) AS t, avg(port) AS mean FROM services",
        "SELECT product, version_cmp('1.9', '1.10') AS older, NULL AS nothing FROM services WHERE false",
        "SELECT now() > to_timestamp_micros(seen_us) AS past, to_timestamp_micros(seen_us) AS t FROM services",
        "SELECT named_struct('a', product, 'b', [port, 1]) AS s, make_array(banner) AS l FROM services ORDER BY addr",
        "SELECT arrow_cast(product, 'Dictionary(Int32, Utf8)') AS d, arrow_cast(product, 'LargeUtf8') AS l, \
         encode(arrow_cast(product, 'Binary'), 'hex') AS h FROM services ORDER BY addr",
        "DESCRIBE services",
        "SELECT * FROM findings ORDER BY finding_key",
        "DESCRIBE findings",
    ];
    for login in ["analyst", "provider", "auditor"] {
        let mut client = door.sign_in(login).await;
        let person = door.world.sign_in(login).await;
        for sql in lines {
            let body = json!({ "sql": sql, "rows": 1000 });
            let told = door.world.ask(&person, Method::POST, "/api/v1/sql", Some(body)).await;
            assert_eq!(told.status(), StatusCode::OK, "{sql}");
            let told = crate::world::json(told).await;
            assert_eq!(ask(&mut client, sql).await.unwrap(), told["rows"], "{login}: {sql}");
        }
        let mut prepared = client.prepare(NAMES.to_owned(), None).await.unwrap();
        assert_eq!(prepared.dataset_schema().unwrap().field(1).data_type(), &DataType::Utf8);
        assert_eq!(prepared.parameter_schema().unwrap().fields().len(), 0);
        let info = prepared.execute().await.unwrap();
        let direct = ask(&mut client, NAMES).await.unwrap();
        assert_eq!(rows(&mut client, info).await.unwrap(), direct);
        prepared.close().await.unwrap();
    }
    let mut provider = door.sign_in("provider").await;
    let seen = ask(&mut provider, NAMES).await.unwrap();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen[0]["addr"], "192.0.2.7");
}

/// Every method × every role, as the door answers, against a stored table.
#[tokio::test]
async fn every_call_answers_every_role_as_the_table_says() {
    let door = Door::open().await;
    let mut table = String::from(
        "# Every call of Arrow Flight and what it answers to whom: `ok` lets it through to its handler, `sign-in` and\n\
         # `refused` end before it. A test makes each call and compares; UPDATE=1 writes this file.\n",
    );
    write!(table, "{:<18}anonymous  ", "call").unwrap();
    Role::ALL.iter().for_each(|role| write!(table, "{role:<11}").unwrap());
    table.truncate(table.trim_end().len());
    table.push('\n');
    for (call, _) in policy::CALLS {
        let mut line = format!("{call:<18}");
        for role in std::iter::once(None).chain(Role::ALL.iter().map(Some)) {
            let mut client = match role {
                Some(role) => door.sign_in(role.as_str()).await,
                None => door.stranger(),
            };
            let token = client.token().cloned();
            let ended = make(call, client.inner_mut(), token.as_deref()).await;
            let word = match ended.map_or_else(|status| status.code(), |()| Code::Ok) {
                Code::Unauthenticated => "sign-in",
                Code::PermissionDenied => "refused",
                Code::Ok | Code::InvalidArgument | Code::Unimplemented => "ok",
                other => panic!("{call} answers {role:?} with {other:?}"),
            };
            write!(line, "{word:<11}").unwrap();
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert_eq!(table, kept, "testdata/web/calls.txt differs; UPDATE=1 writes it, then read what changed");
}

/// One call without anything in it; a handshake with the password, and a session's token beside it.
async fn make(
    call: &str,
    client: &mut FlightServiceClient<Channel>,
    token: Option<&str>,
) -> Result<(), Status> {
    fn with<T>(message: T, token: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
    }
    let nothing = || FlightDescriptor::new_cmd(Vec::new());
    match call {
        "Handshake" => client.handshake(with(stream::empty(), token)).await.map(drop),
        "ListFlights" => client.list_flights(with(Criteria::default(), token)).await.map(drop),
        "GetFlightInfo" => client.get_flight_info(with(nothing(), token)).await.map(drop),
        "PollFlightInfo" => client.poll_flight_info(with(nothing(), token)).await.map(drop),
        "GetSchema" => client.get_schema(with(nothing(), token)).await.map(drop),
        "DoGet" => client.do_get(with(Ticket::default(), token)).await.map(drop),
        "DoPut" => client.do_put(with(stream::empty::<FlightData>(), token)).await.map(drop),
        "DoExchange" => client.do_exchange(with(stream::empty::<FlightData>(), token)).await.map(drop),
        "DoAction" => client.do_action(with(Action::default(), token)).await.map(drop),
        "ListActions" => client.list_actions(with(Empty::default(), token)).await.map(drop),
        other => panic!("the table has a call that this test does not make: {other}"),
    }
}

#[tokio::test]
async fn a_ticket_is_good_in_its_own_session_alone() {
    let door = Door::open().await;
    let mut analyst = door.sign_in("analyst").await;
    let info = analyst.execute(NAMES.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let taken = async |client: &mut Client, ticket: &Ticket| match client.do_get(ticket.clone()).await {
        Ok(flow) => flow.try_collect::<Vec<_>>().await.map(|batches| batches[0].num_rows()),
        Err(error) => Err(error),
    };
    assert_eq!(taken(&mut analyst, &ticket).await.unwrap(), 2);
    assert_eq!(taken(&mut analyst, &ticket).await.unwrap(), 2, "as often as one likes");
    let mut same_person = door.sign_in("analyst").await;
    for other in [&mut door.sign_in("admin").await, &mut door.sign_in("provider").await, &mut same_person] {
        let status = refused(taken(other, &ticket).await);
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("hint: ask GetFlightInfo"), "{status}");
    }
    assert_eq!(refused(taken(&mut door.stranger(), &ticket).await).code(), Code::Unauthenticated);
    // Changed, made by oneself, or no ticket at all.
    let Command::TicketStatementQuery(sealed) = Any::decode(&*ticket.ticket).unwrap().try_into().unwrap()
    else {
        panic!("another ticket");
    };
    let mut handle = sealed.statement_handle.to_vec();
    *handle.last_mut().unwrap() ^= 1;
    let changed = TicketStatementQuery { statement_handle: handle.into() }.as_any().encode_to_vec();
    let made =
        CommandStatementQuery { query: NAMES.to_owned(), transaction_id: None }.as_any().encode_to_vec();
    for ticket in [changed, made] {
        let status = refused(taken(&mut analyst, &Ticket { ticket: ticket.into() }).await);
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    }
    let status = refused(taken(&mut analyst, &Ticket { ticket: vec![1, 2, 3].into() }).await);
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    // A handle holds what it was made of, and is another session's no more than a ticket is.
    let mut prepared = analyst.prepare(NAMES.to_owned(), None).await.unwrap();
    let mut info = prepared.execute().await.unwrap();
    assert_eq!(rows(&mut analyst, info.clone()).await.unwrap().as_array().unwrap().len(), 2);
    let status = refused(rows(&mut same_person, std::mem::take(&mut info)).await);
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn sessions_end_as_those_of_the_web() {
    let door = Door::open().await;
    let mut client = door.sign_in("analyst").await;
    let action = Action { r#type: "CloseSession".to_owned(), body: Vec::new().into() };
    let results: Vec<_> = client.do_action(action).await.unwrap().try_collect().await.unwrap();
    assert_eq!(results[0].body.as_ref(), [8, 1], "CloseSessionResult: CLOSED");
    assert_eq!(refused(ask(&mut client, NAMES).await).code(), Code::Unauthenticated);
    let mut client = door.sign_in("analyst").await;
    door.world.pass(12 * 3600 - 1);
    assert!(ask(&mut client, NAMES).await.is_ok());
    door.world.pass(2);
    let status = refused(ask(&mut client, NAMES).await);
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("hint: give name and password (Basic) in Handshake"), "{status}");
}

#[tokio::test]
async fn passwords_are_not_tried_without_end_and_leave_a_trace() {
    let door = Door::open().await;
    for _ in 0..5 {
        let error = door.stranger().handshake("admin", "wrong").await.unwrap_err().to_string();
        assert!(error.contains("account or password is wrong"), "{error}");
    }
    let error = door.stranger().handshake("admin", PASSWORD).await.unwrap_err().to_string();
    assert!(error.contains("too many attempts") && error.contains("hint: wait"), "{error}");
    let tried = door.world.try_sign_in("admin", PASSWORD).await;
    // The web's door counts by the address too, and its test has none; the account counts by both.
    assert_eq!(tried.status(), StatusCode::OK);
    let mut researcher = door.sign_in("researcher").await;
    let status = refused(ask(&mut researcher, NAMES).await);
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        status.message().contains("role `researcher` may not `ask-sql`; hint: ask an administrator"),
        "{status}"
    );
    let mut analyst = door.sign_in("analyst").await;
    ask(&mut analyst, NAMES).await.unwrap();
    let auditor = door.world.sign_in("auditor").await;
    let (_, trail) = door.world.get(&auditor, "/api/v1/audit").await;
    let traced = |actor: &str, call: &str, status: u16| {
        trail["items"].as_array().unwrap().iter().any(|entry| {
            entry["actor"] == actor
                && entry["action"] == "flight"
                && entry["object"].as_str().unwrap().ends_with(call)
                && entry["detail"].as_str().unwrap().contains(&format!("{status}"))
                && entry["detail"].as_str().unwrap().contains("127.0.0.1")
        })
    };
    assert!(
        traced("A researcher", "/Handshake", 200) && traced("A researcher", "/GetFlightInfo", 403),
        "{trail}"
    );
    assert!(traced("A analyst", "/DoGet", 200) && !traced("A analyst", "/GetFlightInfo", 200), "{trail}");
    assert!(traced("anonymous", "/Handshake", 401) && traced("anonymous", "/Handshake", 429), "{trail}");
}

#[tokio::test]
async fn who_browses_finds_the_tables_that_they_may_ask() {
    let door = Door::open().await;
    let mut analyst = door.sign_in("analyst").await;
    let mut provider = door.sign_in("provider").await;
    let info = analyst.get_catalogs().await.unwrap();
    assert_eq!(rows(&mut analyst, info).await.unwrap(), json!([{ "catalog_name": "datafusion" }]));
    let info = analyst.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(rows(&mut analyst, info).await.unwrap()[0]["db_schema_name"], "public");
    let info = analyst.get_table_types().await.unwrap();
    assert_eq!(rows(&mut analyst, info).await.unwrap(), json!([{ "table_type": "TABLE" }]));
    let names = async |client: &mut Client, pattern: Option<&str>| {
        let asked = CommandGetTables {
            table_name_filter_pattern: pattern.map(str::to_owned),
            include_schema: true,
            ..CommandGetTables::default()
        };
        let info = client.get_tables(asked).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let batches: Vec<RecordBatch> = client.do_get(ticket).await.unwrap().try_collect().await.unwrap();
        let Some(batch) = batches.into_iter().next() else { return Vec::new() };
        let text = |column: &str| batch.column_by_name(column).unwrap().clone();
        let names = text("table_name").as_any().downcast_ref::<StringArray>().unwrap().clone();
        let schemas = text("table_schema");
        let schemas = schemas.as_any().downcast_ref::<arrow_array::BinaryArray>().unwrap().clone();
        let tables = (0..names.len()).map(|row| {
            let schema: Result<Schema, ArrowError> =
                IpcMessage(schemas.value(row).to_vec().into()).try_into();
            (names.value(row).to_owned(), schema.unwrap())
        });
        tables.collect::<Vec<_>>()
    };
    let only = |tables: &[(String, Schema)]| tables.iter().map(|table| table.0.clone()).collect::<Vec<_>>();
    assert_eq!(
        only(&names(&mut analyst, None).await),
        ["batches", "blobs", "coverage", "erasures", "findings", "observations", "salts", "services"]
    );
    assert_eq!(only(&names(&mut provider, None).await), ["findings", "observations", "services"]);
    assert!(names(&mut provider, Some("batch%")).await.is_empty());
    let found = names(&mut provider, Some("serv_ces")).await;
    let product = found[0].1.field_with_name("product").unwrap();
    assert_eq!((found.len(), product.data_type()), (1, &DataType::Utf8));
    // A name as the catalogue has it can be asked.
    let count = ask(&mut provider, "SELECT count(*) AS n FROM datafusion.public.services").await.unwrap();
    assert_eq!(count, json!([{ "n": 1 }]));
    for info in [
        analyst
            .get_sql_info(vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly])
            .await
            .unwrap(),
        analyst.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(12) }).await.unwrap(),
        analyst.get_primary_keys(Default::default()).await.unwrap(),
        analyst.get_imported_keys(Default::default()).await.unwrap(),
        analyst.get_exported_keys(Default::default()).await.unwrap(),
        analyst.get_cross_reference(Default::default()).await.unwrap(),
    ] {
        let announced = info.clone().try_decode_schema().unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let flow = analyst.do_get(ticket).await.unwrap();
        let batches: Vec<RecordBatch> = flow.try_collect().await.unwrap();
        assert!(batches.iter().all(|batch| *batch.schema() == announced), "{announced:?}");
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let expected = match announced.field(0).name().as_str() {
            "info_name" => 2,
            "type_name" => 1,
            _ => 0,
        };
        assert_eq!(rows, expected, "{announced:?}");
    }
}

#[tokio::test]
async fn whatever_would_change_something_is_refused_with_a_sentence() {
    let door = Door::open().await;
    let mut admin = door.sign_in("admin").await;
    let status = refused(admin.execute_update("DELETE FROM services".to_owned(), None).await);
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("read-only"), "{status}");
    let status = refused(admin.begin_transaction().await);
    assert!(status.message().contains("transactions"), "{status}");
    for sql in
        ["DROP VIEW services", "CREATE TABLE t AS SELECT 1", "SET a.b = 1", "SELECT nothing FROM services"]
    {
        let status = refused(admin.execute(sql.to_owned(), None).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        assert!(status.message().contains("; hint: `DESCRIBE services`"), "{sql}: {status}");
        assert_eq!(refused(admin.prepare(sql.to_owned(), None).await).code(), Code::InvalidArgument);
    }
    let status = refused(admin.execute(format!("SELECT 1 -- {}", "x".repeat(33_000)), None).await);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("longer than 32768 bytes"), "{status}");
    let status = refused(admin.execute("x".repeat(70_000), None).await);
    assert_eq!(status.code(), Code::OutOfRange, "not even read: {status}");
    let status = refused(admin.prepare("SELECT * FROM services WHERE port = $1".to_owned(), None).await);
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("has a parameter, `$1`"), "{status}");
    let mut provider = door.sign_in("provider").await;
    for sql in ["EXPLAIN SELECT * FROM services", "SELECT * FROM batches"] {
        let status = refused(provider.execute(sql.to_owned(), None).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}");
    }
}

#[tokio::test]
async fn a_row_above_the_limit_is_an_error_behind_the_rows() {
    let door = Door::open().await;
    let mut client = door.sign_in("analyst").await;
    let most = ask(&mut client, "SELECT unnest(range(0, 100000)) AS n").await.unwrap();
    assert_eq!(most.as_array().unwrap().len(), 100_000);
    let status = refused(ask(&mut client, "SELECT unnest(range(0, 100001)) AS n").await);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("more than 100000 rows; hint: aggregate"), "{status}");
}

#[tokio::test]
async fn two_ask_at_a_time_and_who_goes_away_makes_room() {
    let door = Door::open().await;
    let mut client = door.sign_in("analyst").await;
    // Far more than the network holds: both wait to be read.
    let much = "WITH n AS (SELECT unnest(range(0, 300)) AS n) \
                SELECT a.n, b.n AS m, repeat('x', 500) AS text FROM n AS a CROSS JOIN n AS b";
    let mut open = Vec::new();
    for _ in 0..2 {
        let info = client.execute(much.to_owned(), None).await.unwrap();
        let mut flow = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        assert!(flow.next().await.unwrap().unwrap().num_rows() > 0);
        open.push(flow);
    }
    let status = refused(ask(&mut client, NAMES).await);
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("2 queries in SQL are being answered; hint: try again"), "{status}");
    // Catalogues are answered meanwhile.
    let info = client.get_catalogs().await.unwrap();
    assert!(rows(&mut client, info).await.is_ok());
    open.pop();
    let again = async {
        loop {
            match ask(&mut client, NAMES).await {
                Ok(rows) => break rows,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let rows = tokio::time::timeout(Duration::from_secs(30), again).await.expect("its turn is free");
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let rest: Vec<RecordBatch> = open.pop().unwrap().try_collect().await.unwrap();
    assert!(rest.iter().map(RecordBatch::num_rows).sum::<usize>() > 80_000);
}
