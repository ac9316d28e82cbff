//! What a client asks for, read from its bytes: commands, tickets, handles of prepared statements. Pure.

use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, Command, ProstMessageExt, TicketStatementQuery,
};
use prost::Message;

use super::statement;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Rows that answer a statement.
    Rows(String),
    /// What there is to ask, and how.
    Catalogue(Command),
}

/// Why nothing is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes are no command of Flight SQL.
    Misunderstood,
    /// A ticket or handle that was made for another session, or by nobody.
    Foreign,
    /// A command that would change something.
    NotOffered,
}

/// What a descriptor asks for; a handle was sealed with this token, or is foreign.
pub(crate) fn asked(descriptor: &[u8], token: &str) -> Result<Asked, Refusal> {
    let opened = |handle: &[u8]| statement::open(handle, token).map(Asked::Rows).ok_or(Refusal::Foreign);
    match command(descriptor)? {
        Command::CommandStatementQuery(asked) => Ok(Asked::Rows(asked.query)),
        Command::TicketStatementQuery(ticket) => opened(&ticket.statement_handle),
        Command::CommandPreparedStatementQuery(asked) => opened(&asked.prepared_statement_handle),
        command if is_catalogue(&command) => Ok(Asked::Catalogue(command)),
        _ => Err(Refusal::NotOffered),
    }
}

/// What a ticket is for: a statement only when it was sealed with this token.
pub(crate) fn fetched(ticket: &[u8], token: &str) -> Result<Asked, Refusal> {
    match command(ticket)? {
        Command::CommandStatementQuery(_) => Err(Refusal::Foreign),
        _ => asked(ticket, token),
    }
}

/// The ticket with which the session of this token fetches the answer to a statement.
pub(crate) fn ticket(statement: &str, token: &str) -> Vec<u8> {
    let handle = statement::seal(statement, token);
    TicketStatementQuery { statement_handle: handle.into() }.as_any().encode_to_vec()
}

/// The statement that a body of `CreatePreparedStatement` wants to be planned.
pub(crate) fn prepared(body: &[u8]) -> Result<String, Refusal> {
    let asked: Option<ActionCreatePreparedStatementRequest> =
        Any::decode(body).ok().and_then(|any| any.unpack().ok()).flatten();
    asked.map(|asked| asked.query).ok_or(Refusal::Misunderstood)
}

/// The command in a descriptor or ticket.
fn command(bytes: &[u8]) -> Result<Command, Refusal> {
    let any = Any::decode(bytes).map_err(|_| Refusal::Misunderstood)?;
    Command::try_from(any).map_err(|_| Refusal::Misunderstood)
}

/// Whether a command asks what there is to ask.
fn is_catalogue(command: &Command) -> bool {
    use Command as C;
    matches!(
        command,
        C::CommandGetCatalogs(_)
            | C::CommandGetDbSchemas(_)
            | C::CommandGetTables(_)
            | C::CommandGetTableTypes(_)
            | C::CommandGetSqlInfo(_)
            | C::CommandGetXdbcTypeInfo(_)
            | C::CommandGetPrimaryKeys(_)
            | C::CommandGetExportedKeys(_)
            | C::CommandGetImportedKeys(_)
            | C::CommandGetCrossReference(_)
    )
}
