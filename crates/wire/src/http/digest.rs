//! HTTP Digest (RFC 7616, and RFC 2069 for servers without `qop`), MD5 and SHA-256.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::challenge::Challenge;

/// Hash of a Digest challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`, the default.
    Md5,
    /// `SHA-256`.
    Sha256,
}

/// A Digest challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Realm, part of the proof.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// Returned as it came.
    pub opaque: Option<String>,
    /// Hash.
    pub algorithm: Algorithm,
    /// The `-sess` variant: the nonces enter the first hash.
    pub session: bool,
    /// `qop=auth` was offered; without it the old form is answered.
    pub qop_auth: bool,
}

/// What a client puts into an answer.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
    /// Request method.
    pub method: &'a str,
    /// Request target.
    pub target: &'a str,
    /// Nonce of ours.
    pub cnonce: &'a str,
    /// How often the server's nonce was used, this time included.
    pub count: u32,
}

impl Digest {
    /// The challenge, when its scheme is Digest and we know its algorithm and quality.
    pub fn from_challenge(challenge: &Challenge) -> Option<Self> {
        if !challenge.is("digest") {
            return None;
        }
        let (algorithm, session) =
            match challenge.parameter("algorithm").unwrap_or("MD5").to_ascii_uppercase().as_str() {
                "MD5" => (Algorithm::Md5, false),
                "MD5-SESS" => (Algorithm::Md5, true),
                "SHA-256" => (Algorithm::Sha256, false),
                "SHA-256-SESS" => (Algorithm::Sha256, true),
                _ => return None,
            };
        let qop_auth = match challenge.parameter("qop") {
            None => false,
            Some(list) if list.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None, // auth-int alone
        };
        Some(Self {
            realm: challenge.parameter("realm").unwrap_or_default().to_owned(),
            nonce: challenge.parameter("nonce")?.to_owned(),
            opaque: challenge.parameter("opaque").map(str::to_owned),
            algorithm,
            session,
            qop_auth,
        })
    }

    /// Value of the `Authorization` field.
    pub fn answer(&self, proof: &Proof<'_>) -> String {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}{}",
            quote(proof.user),
            quote(&self.realm),
            quote(&self.nonce),
            quote(proof.target),
            self.response(proof),
            match self.algorithm {
                Algorithm::Md5 => "MD5",
                Algorithm::Sha256 => "SHA-256",
            },
            if self.session { "-sess" } else { "" },
        );
        if self.qop_auth {
            out.push_str(&format!(", qop=auth, nc={:08x}, cnonce=\"{}\"", proof.count, quote(proof.cnonce)));
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque=\"{}\"", quote(opaque)));
        }
        out
    }

    /// The hash that proves knowledge of the password; a server compares it with its own.
    pub fn response(&self, proof: &Proof<'_>) -> String {
        let mut first = self.hash(&format!("{}:{}:{}", proof.user, self.realm, proof.password));
        if self.session {
            first = self.hash(&format!("{first}:{}:{}", self.nonce, proof.cnonce));
        }
        let second = self.hash(&format!("{}:{}", proof.method, proof.target));
        if self.qop_auth {
            self.hash(&format!("{first}:{}:{:08x}:{}:auth:{second}", self.nonce, proof.count, proof.cnonce))
        } else {
            self.hash(&format!("{first}:{}:{second}", self.nonce))
        }
    }

    fn hash(&self, text: &str) -> String {
        match self.algorithm {
            Algorithm::Md5 => hex::encode(Md5::digest(text)),
            Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        }
    }
}
