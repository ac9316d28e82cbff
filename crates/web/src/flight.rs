//! The door for Arrow Flight SQL: what SQL over HTTP answers, as Arrow, for ADBC, JDBC and whatever else
//! speaks it.
//!
//! A client signs in by `Handshake` with the name and password of the web and carries the session's token
//! from then on. `GetFlightInfo` tells columns and gives a ticket, `DoGet` takes the ticket and gives the
//! rows, batch by batch as they are found. Nothing is kept in between: a ticket and the handle of a
//! prepared statement are the statement itself, sealed for the session ([`statement`]).
//!
//! It refuses: whatever would change something; a ticket of another session; a call that
//! [`policy::CALLS`] does not name.

mod answer;
mod asked;
mod catalogue;
mod guard;
mod statement;
mod status;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{ActionCreatePreparedStatementResult, ProstMessageExt};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use arrow_schema::{Schema, SchemaRef};
use axum::Router;
use axum::middleware::from_fn_with_state;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use crate::api::{session, sql};
use crate::flight::asked::{Asked, Refusal};
use crate::guard::{Caller, SignedInAs};
use crate::{Problem, Web, policy};

/// The name of the service, as it stands in paths.
const SERVICE: &str = "arrow.flight.protocol.FlightService";
/// Bytes of a message at most: a sealed statement and its wrapping.
const MESSAGE_MAX: usize = 64 << 10;
const CREATE_PREPARED: &str = "CreatePreparedStatement";
const CLOSE_PREPARED: &str = "ClosePreparedStatement";
const CLOSE_SESSION: &str = "CloseSession";
/// `CloseSessionResult` with the status CLOSED, in protocol buffers.
const CLOSED: &[u8] = &[0x08, 0x01];
const READ_ONLY: &str =
    "the lake is read-only: it answers SELECT, and takes no rows, updates or transactions";

/// Every method that the policy names, behind the wrapper; of others nothing is known.
pub(crate) fn router(web: &Web) -> Router {
    let service =
        FlightServiceServer::new(Flight { web: web.clone() }).max_decoding_message_size(MESSAGE_MAX);
    let mut router = Router::new();
    for (call, _) in policy::CALLS {
        router = router.route_service(&format!("/{SERVICE}/{call}"), service.clone());
    }
    router.route_layer(from_fn_with_state(web.clone(), guard::guard)).fallback(guard::unknown)
}

struct Flight {
    web: Web,
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let caller = caller(&request)?;
        let given = guard::basic(request.metadata().as_ref());
        let (login, password) = given.ok_or_else(|| Status::from(guard::signed_out()))?;
        let signed_in = session::begin(&self.web, &login, &password, caller.addr).await?;
        let bearer = MetadataValue::try_from(format!("Bearer {}", signed_in.token));
        let mut response = Response::new(stream::empty().boxed());
        response
            .metadata_mut()
            .insert("authorization", bearer.map_err(|error| Status::from(Problem::ours(&error)))?);
        response.extensions_mut().insert(SignedInAs(signed_in.user.user_id));
        Ok(response)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = caller(&request)?;
        let descriptor = request.into_inner();
        let asked = asked::asked(&descriptor.cmd, token(&caller)?).map_err(refused)?;
        let columns = self.columns(&asked, &caller).await?;
        let ticket = match asked {
            Asked::Rows(sql) => asked::ticket(&sql, token(&caller)?).into(),
            Asked::Catalogue(_) => descriptor.cmd.clone(),
        };
        let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket });
        let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint).with_ordered(true);
        Ok(Response::new(info.try_with_schema(&columns).map_err(|error| Problem::ours(&error))?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = caller(&request)?;
        let asked = asked::asked(&request.get_ref().cmd, token(&caller)?).map_err(refused)?;
        let columns = self.columns(&asked, &caller).await?;
        Ok(Response::new(SchemaResult { schema: answer::written(&columns)? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = caller(&request)?;
        let rows = match asked::fetched(&request.get_ref().ticket, token(&caller)?).map_err(refused)? {
            Asked::Rows(sql) => {
                let turn = self.web.asking_sql()?;
                let (viewer, limits) = (caller.viewer()?, sql::limits(sql::ROWS_MAX));
                let rows = self.web.observatory().sql_rows(&viewer, &sql, limits).await;
                answer::flowing(rows.map_err(Problem::from)?, turn)
            }
            Asked::Catalogue(command) => {
                let tables = match catalogue::needs_tables(&command) {
                    true => {
                        self.web.observatory().sql_tables(&caller.viewer()?).await.map_err(Problem::from)?
                    }
                    false => Vec::new(),
                };
                answer::whole(catalogue::rows(command, &tables)?)
            }
        };
        Ok(Response::new(rows))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = caller(&request)?;
        let action = request.get_ref();
        let body = match action.r#type.as_str() {
            CREATE_PREPARED => {
                let sql = asked::prepared(&action.body).map_err(refused)?;
                let handle = statement::seal(&sql, token(&caller)?);
                let columns = self.columns(&Asked::Rows(sql), &caller).await?;
                let prepared = ActionCreatePreparedStatementResult {
                    prepared_statement_handle: handle.into(),
                    dataset_schema: answer::written(&columns)?,
                    parameter_schema: answer::written(&Schema::empty())?,
                };
                Some(prepared.as_any().encode_to_vec().into())
            }
            // Nothing is kept of a statement that was prepared.
            CLOSE_PREPARED => None,
            CLOSE_SESSION => {
                self.web.casework().sign_out(token(&caller)?).await.map_err(Problem::from)?;
                Some(CLOSED.into())
            }
            "CancelQuery" | "CancelFlightInfo" => {
                let ends = "a query ends when its rows are no longer fetched: drop the stream";
                return Err(Problem::not_offered(ends).into());
            }
            _ => {
                return Err(Problem::not_offered(READ_ONLY).hint("ListActions lists what is offered").into());
            }
        };
        let results: Vec<_> = body.map(|body| Ok(arrow_flight::Result { body })).into_iter().collect();
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = [
            (CREATE_PREPARED, "Plans a statement; its handle is good for the session."),
            (CLOSE_PREPARED, "Forgets a statement: nothing is kept of it."),
            (CLOSE_SESSION, "Ends the session: its token is good for nothing more."),
        ];
        let listed = actions.map(|(name, description)| {
            Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
        });
        Ok(Response::new(stream::iter(listed).boxed()))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let hint = "write values into the statement: it takes no parameters either";
        Err(Problem::not_offered(READ_ONLY).hint(hint).into())
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Problem::not_offered(READ_ONLY).into())
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Problem::not_offered("flights are not listed").hint("ask for tables, or in SQL").into())
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Problem::not_offered("a query is not polled").hint("GetFlightInfo answers at once").into())
    }
}

impl Flight {
    /// Columns of what is asked for. Planning waits for its turn among searches, which are as short.
    async fn columns(&self, asked: &Asked, caller: &Caller) -> Result<SchemaRef, Problem> {
        match asked {
            Asked::Rows(sql) => {
                sql::short_enough(sql)?;
                let _turn = self.web.searching().await?;
                let (viewer, limits) = (caller.viewer()?, sql::limits(sql::ROWS_MAX));
                let columns = self.web.observatory().sql_columns(&viewer, sql, limits).await?;
                Ok(answer::plain(&columns))
            }
            Asked::Catalogue(command) => Ok(catalogue::rows(command.clone(), &[])?.schema()),
        }
    }
}

/// Why nothing is answered, as it is told.
fn refused(why: Refusal) -> Problem {
    match why {
        Refusal::Misunderstood => Problem::bad_request("what is asked for is no command of Flight SQL"),
        Refusal::Foreign => Problem::foreign_ticket(),
        Refusal::NotOffered => Problem::not_offered(READ_ONLY),
    }
}

/// Who calls, as the wrapper found out.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| guard::signed_out().into())
}

/// The token of the caller's session.
fn token(caller: &Caller) -> Result<&str, Problem> {
    caller.token.as_deref().ok_or_else(guard::signed_out)
}
