//! SMTP to the operator's relay, one mail a connection.
//!
//! The conversation is led step by step, so that its end is known for what it is: before the body
//! is handed over every failure is certain; from then on only the server's answer is.

use std::fmt::Display;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials as LettreCredentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::{Delivery, Envelope};

/// A conversation lasts so long at most; the body alone may take most of it.
const DEADLINE: Duration = Duration::from_secs(120);

/// How the connection to the relay is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: a relay on this machine or in a closed network.
    None,
    /// STARTTLS is required.
    StartTls {
        /// A certificate to trust beside the well-known ones, PEM.
        trusted: Option<String>,
    },
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The operator's relay.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who we are to it; only sent over TLS.
    pub credentials: Option<Credentials>,
    /// Name we greet with.
    pub hello: String,
}

/// What went wrong, and whether that is certain.
struct Broken {
    uncertain: bool,
    what: String,
}

impl Smtp {
    pub(super) async fn deliver(&self, envelope: &Envelope, message: &str) -> Delivery {
        let mut handed_over = false;
        let conversation = self.converse(envelope, message, &mut handed_over);
        match tokio::time::timeout(DEADLINE, conversation).await {
            Ok(Ok(answer)) => Delivery::Sent(answer),
            Ok(Err(Broken { uncertain: false, what })) => Delivery::Failed(what),
            Ok(Err(Broken { uncertain: true, what })) => Delivery::Uncertain(what),
            Err(_) if handed_over => {
                Delivery::Uncertain(format!("no answer to the mail within {} s", DEADLINE.as_secs()))
            }
            Err(_) => Delivery::Failed(format!("not finished within {} s", DEADLINE.as_secs())),
        }
    }

    async fn converse(
        &self,
        envelope: &Envelope,
        message: &str,
        handed_over: &mut bool,
    ) -> Result<String, Broken> {
        let hello = ClientId::Domain(self.hello.clone());
        let address =
            |mail: &str| mail.parse::<Address>().map_err(|error| certain("read the address", error));
        let (sender, recipient) = (address(&envelope.sender)?, address(&envelope.recipient)?);
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(DEADLINE), &hello, None, None)
            .await
            .map_err(|error| certain("connect", error))?;
        if let Tls::StartTls { trusted } = &self.tls {
            let mut parameters = TlsParameters::builder(self.host.clone());
            if let Some(pem) = trusted {
                let certificate = Certificate::from_pem(pem.as_bytes())
                    .map_err(|error| certain("read the trusted certificate", error))?;
                parameters = parameters.add_root_certificate(certificate);
            }
            let parameters = parameters.build_rustls().map_err(|error| certain("prepare TLS", error))?;
            connection.starttls(parameters, &hello).await.map_err(|error| certain("start TLS", error))?;
        }
        if let Some(Credentials { user, password }) = &self.credentials {
            if !connection.is_encrypted() {
                return Err(certain("sign in", "a password is only sent over TLS"));
            }
            let credentials = LettreCredentials::new(user.clone(), password.clone());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await
                .map_err(|error| certain("sign in", error))?;
        }
        connection
            .command(Mail::new(Some(sender), vec![]))
            .await
            .map_err(|error| certain("name the sender", error))?;
        connection
            .command(Rcpt::new(recipient, vec![]))
            .await
            .map_err(|error| certain("name the recipient", error))?;
        connection.command(Data).await.map_err(|error| certain("begin the mail", error))?;
        *handed_over = true;
        let answer = connection.message(message.as_bytes()).await.map_err(|error| Broken {
            // A refusal is an answer; anything else after the first byte of the body is not.
            uncertain: !(error.is_permanent() || error.is_transient()),
            what: describe("hand over the mail", error),
        })?;
        let first = answer.first_line().unwrap_or_default().to_owned();
        // The mail is theirs now; how the farewell goes changes nothing.
        let _ = connection.quit().await;
        Ok(format!("{} {first}", answer.code()))
    }
}

fn certain(what: &str, error: impl Display) -> Broken {
    Broken { uncertain: false, what: describe(what, error) }
}

fn describe(what: &str, error: impl Display) -> String {
    format!("failed to {what}: {error}")
}
