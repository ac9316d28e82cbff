//! What there is to ask, for clients that browse: one catalogue, one schema, the tables that somebody may
//! ask, and what is spoken here.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    Command, Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel,
    SqlSupportedCaseSensitivity, SqlSupportedGroupBy, SqlSupportedSubqueries, SqlSupportedTransaction,
    SqlSupportedUnions, SupportedSqlGrammar, XdbcDataType,
};
use arrow_schema::DataType::{Int32, UInt8, Utf8};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::Problem;
use crate::api::sql;
use crate::flight::answer;

/// Where the tables are, so that their full names can be asked too.
const CATALOGUE: &str = "datafusion";
const SCHEMA: &str = "public";
const TABLE: &str = "TABLE";
/// The version of Arrow's columnar format that is written.
const FORMAT: &str = "1.4";

/// Names that clients offer beside those of standard SQL.
const KEYWORDS: [&str; 10] =
    ["ANTI", "DESCRIBE", "EXCLUDE", "EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "SEMI", "UNNEST"];
/// Functions of ours.
const FUNCTIONS: [&str; 7] = ["as_name", "asn", "country", "in_cidr", "ip_text", "region", "version_cmp"];

const YES: [SqlInfo; 11] = [
    SqlInfo::FlightSqlServerReadOnly,
    SqlInfo::FlightSqlServerSql,
    SqlInfo::SqlAllTablesAreSelectable,
    SqlInfo::SqlSupportsColumnAliasing,
    SqlInfo::SqlNullPlusNullIsNull,
    SqlInfo::SqlSupportsTableCorrelationNames,
    SqlInfo::SqlSupportsExpressionsInOrderBy,
    SqlInfo::SqlSupportsOrderByUnrelated,
    SqlInfo::SqlSupportsLikeEscapeClause,
    SqlInfo::SqlSupportsNonNullableColumns,
    SqlInfo::SqlCorrelatedSubqueriesSupported,
];
const NO: [SqlInfo; 18] = [
    SqlInfo::FlightSqlServerSubstrait,
    SqlInfo::FlightSqlServerCancel,
    SqlInfo::FlightSqlServerBulkIngestion,
    SqlInfo::FlightSqlServerIngestTransactionsSupported,
    SqlInfo::SqlDdlCatalog,
    SqlInfo::SqlDdlSchema,
    SqlInfo::SqlDdlTable,
    SqlInfo::SqlSupportsDifferentTableCorrelationNames,
    SqlInfo::SqlSupportsIntegrityEnhancementFacility,
    SqlInfo::SqlSelectForUpdateSupported,
    SqlInfo::SqlStoredProceduresSupported,
    SqlInfo::SqlTransactionsSupported,
    SqlInfo::SqlDataDefinitionCausesTransactionCommit,
    SqlInfo::SqlBatchUpdatesSupported,
    SqlInfo::SqlSavepointsSupported,
    SqlInfo::SqlNamedParametersSupported,
    SqlInfo::SqlLocatorsUpdateCopy,
    SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
];

/// A type by its name in SQL, its number in XDBC, and what literals of it stand between.
type Type = (&'static str, XdbcDataType, Option<&'static str>);

const TYPES: [Type; 12] = [
    ("BOOLEAN", XdbcDataType::XdbcBit, None),
    ("SMALLINT", XdbcDataType::XdbcSmallint, None),
    ("INTEGER", XdbcDataType::XdbcInteger, None),
    ("BIGINT", XdbcDataType::XdbcBigint, None),
    ("REAL", XdbcDataType::XdbcReal, None),
    ("DOUBLE", XdbcDataType::XdbcDouble, None),
    ("DECIMAL", XdbcDataType::XdbcDecimal, None),
    ("VARCHAR", XdbcDataType::XdbcVarchar, Some("'")),
    ("VARBINARY", XdbcDataType::XdbcVarbinary, None),
    ("DATE", XdbcDataType::XdbcDate, Some("'")),
    ("TIME", XdbcDataType::XdbcTime, Some("'")),
    ("TIMESTAMP", XdbcDataType::XdbcTimestamp, Some("'")),
];

/// A table with its columns.
pub(super) type Table = (&'static str, SchemaRef);

/// Whether the answer depends on which tables somebody may ask.
pub(super) fn needs_tables(command: &Command) -> bool {
    matches!(command, Command::CommandGetTables(_))
}

/// The answer to such a command for somebody who has these tables.
pub(super) fn rows(command: Command, tables: &[Table]) -> Result<RecordBatch, Problem> {
    answered(command, tables).map_err(|error| Problem::ours(&error))
}

fn answered(command: Command, tables: &[Table]) -> Result<RecordBatch, FlightError> {
    match command {
        Command::CommandGetCatalogs(asked) => {
            let mut builder = asked.into_builder();
            builder.append(CATALOGUE);
            builder.build()
        }
        Command::CommandGetDbSchemas(asked) => {
            let mut builder = asked.into_builder();
            builder.append(CATALOGUE, SCHEMA);
            builder.build()
        }
        Command::CommandGetTables(asked) => {
            let mut builder = asked.into_builder();
            for (name, columns) in tables {
                builder.append(CATALOGUE, SCHEMA, name, TABLE, &answer::plain(columns))?;
            }
            builder.build()
        }
        Command::CommandGetTableTypes(asked) => {
            let mut builder = asked.into_builder();
            builder.append(TABLE);
            builder.build()
        }
        Command::CommandGetSqlInfo(asked) => asked.into_builder(&info().build()?).build(),
        Command::CommandGetXdbcTypeInfo(asked) => asked.into_builder(&types().build()?).build(),
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(primary_keys())),
        // Tables of observations refer to each other by no key that a machine would enforce.
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(RecordBatch::new_empty(foreign_keys())),
        other => Err(FlightError::protocol(format!("{} asks for no catalogue", other.type_url()))),
    }
}

/// What is spoken here, as JDBC's `DatabaseMetaData` and its like ask.
fn info() -> SqlInfoDataBuilder {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "Kenshin");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, FORMAT);
    YES.iter().for_each(|name| info.append(*name, true));
    NO.iter().for_each(|name| info.append(*name, false));
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    info.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
    );
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlExtraNameCharacters, "");
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlKeywords, &KEYWORDS[..]);
    info.append(SqlInfo::SqlSystemFunctions, &FUNCTIONS[..]);
    info.append(SqlInfo::SqlSupportedGroupBy, bit(SqlSupportedGroupBy::SqlGroupByUnrelated as i32));
    info.append(SqlInfo::SqlSupportedGrammar, bit(SupportedSqlGrammar::SqlCoreGrammar as i32));
    info.append(SqlInfo::SqlOuterJoinsSupportLevel, bit(SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32));
    let subqueries = [
        SqlSupportedSubqueries::SqlSubqueriesInComparisons,
        SqlSupportedSubqueries::SqlSubqueriesInExists,
        SqlSupportedSubqueries::SqlSubqueriesInIns,
    ];
    let subqueries = subqueries.into_iter().map(|kind| bit(kind as i32)).sum::<i32>();
    info.append(SqlInfo::SqlSupportedSubqueries, subqueries);
    let unions = bit(SqlSupportedUnions::SqlUnion as i32) | bit(SqlSupportedUnions::SqlUnionAll as i32);
    info.append(SqlInfo::SqlSupportedUnions, unions);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    info.append(SqlInfo::SqlMaxStatementLength, sql::SQL_BYTES_MAX as i64);
    info
}

/// A set of one, as sets of words are written.
fn bit(word: i32) -> i32 {
    1 << word
}

fn types() -> XdbcTypeInfoDataBuilder {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for (name, kind, quote) in TYPES {
        types.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type: kind,
            sql_data_type: kind,
            literal_prefix: quote.map(str::to_owned),
            literal_suffix: quote.map(str::to_owned),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: kind == XdbcDataType::XdbcVarchar,
            searchable: Searchable::Full,
            ..XdbcTypeInfo::default()
        });
    }
    types
}

/// Columns of the answer to `CommandGetPrimaryKeys`, as FlightSql.proto has them.
fn primary_keys() -> SchemaRef {
    columns(&[
        ("catalog_name", Utf8, true),
        ("db_schema_name", Utf8, true),
        ("table_name", Utf8, false),
        ("column_name", Utf8, false),
        ("key_name", Utf8, true),
        ("key_sequence", Int32, false),
    ])
}

/// Columns of the answers about foreign keys, as FlightSql.proto has them.
fn foreign_keys() -> SchemaRef {
    columns(&[
        ("pk_catalog_name", Utf8, true),
        ("pk_db_schema_name", Utf8, true),
        ("pk_table_name", Utf8, false),
        ("pk_column_name", Utf8, false),
        ("fk_catalog_name", Utf8, true),
        ("fk_db_schema_name", Utf8, true),
        ("fk_table_name", Utf8, false),
        ("fk_column_name", Utf8, false),
        ("key_sequence", Int32, false),
        ("fk_key_name", Utf8, true),
        ("pk_key_name", Utf8, true),
        ("update_rule", UInt8, false),
        ("delete_rule", UInt8, false),
    ])
}

fn columns(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind, nullable)| Field::new(*name, kind.clone(), *nullable)).collect();
    Arc::new(Schema::new(fields))
}
