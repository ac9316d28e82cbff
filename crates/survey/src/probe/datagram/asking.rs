//! The questions of one check to one endpoint, and what was learned from them.

use std::net::SocketAddr;

use kenshin_observation::protocol::Records;
use kenshin_observation::{Check, Endpoint, Outcome};
use kenshin_wire::amplification::Tally;
use kenshin_wire::datagram::{self, Answer};
use kenshin_wire::referral::{Referral, referral};
use kenshin_wire::{snmp, upnp};

use super::channel::{Channel, Dialogue, Ending};
use super::question::{Asked, Question, Spoken};
use super::{ASKS_MAX, Datagrams, controller, place, question, record};
use crate::probe::conversation::NoConnection;
use crate::probe::record::{banner, unknown};
use crate::probe::{Connect, ProbeResult, ProbeSettings};

/// Most places followed that answers refer to.
const REFERRALS_MAX: usize = 2;

/// The questions of one check, and what was learned from them.
pub(super) struct Asking<'a, D> {
    endpoint: Endpoint,
    check: Check,
    datagrams: &'a D,
    settings: &'a ProbeSettings,
    records: Records,
    /// What answered last.
    pub(super) spoken: Option<Spoken>,
    /// The first answer; while there is none, the first bytes that nobody can read.
    first: Option<Vec<u8>>,
    /// Why the last exchange brought nothing, or not everything.
    ending: Option<NoConnection>,
    /// The exchange that amplified most.
    amplified: Option<Tally>,
    referrals: Vec<Referral>,
    vantage: Option<SocketAddr>,
    used: u32,
}

/// What came of one question.
struct Replies {
    answers: Vec<Answer>,
    first: Option<Vec<u8>>,
    /// `None` when it was answered, and no more was to be expected.
    ending: Option<Ending>,
}

impl<'a, D: Datagrams> Asking<'a, D> {
    pub(super) fn new(
        endpoint: Endpoint,
        check: Check,
        datagrams: &'a D,
        settings: &'a ProbeSettings,
    ) -> Self {
        Self {
            endpoint,
            check,
            datagrams,
            settings,
            records: Records::default(),
            spoken: None,
            first: None,
            ending: None,
            amplified: None,
            referrals: Vec::new(),
            vantage: None,
            used: 0,
        }
    }

    /// Asks until a protocol answers its own question, or the exchanges are used up.
    pub(super) async fn shake_hands(&mut self) {
        let mut questions = question::order(self.endpoint.port);
        while !questions.is_empty() && self.used < self.settings.limits.connections_max {
            let question = questions.remove(0);
            self.put(&question).await;
            match self.spoken {
                Some(spoken) if spoken == question.speaks() => return,
                // Another protocol showed itself: it is asked as it likes, and nothing else is.
                Some(spoken) => {
                    questions = question::order_of(spoken);
                    questions.retain(|other| *other != question);
                }
                None if self.ending.as_ref().is_some_and(|ending| ending.reason != "silent") => return,
                None => {}
            }
        }
    }

    /// SNMP with the community that everybody knows, of version 2c, then of version 1. `known` says
    /// that an agent is there: its silence to both is then an answer, the only one there is.
    pub(super) async fn name_the_public_community(&mut self, known: bool) {
        for version in [snmp::Version::V2c, snmp::Version::V1] {
            self.put(&Question::SnmpPublic(version)).await;
            let silent = self.ending.as_ref().is_some_and(|ending| ending.reason == "silent");
            if self.spoken.is_some() || !silent {
                return;
            }
        }
        if known {
            let snmp = self.records.snmp.get_or_insert_default();
            snmp.version = "2c".to_owned();
            snmp.community_accepted = Some(false);
            self.spoken = Some(Spoken::Snmp);
        }
    }

    /// Puts the questions with which strangers' servers are turned against third parties. `known`
    /// says that a server is there: its silence is then an answer.
    pub(super) async fn measure(&mut self, questions: &[Question], known: bool) {
        for question in questions {
            self.put(question).await;
            let Some(ending) = &self.ending else { continue };
            if ending.reason != "silent" {
                return; // the port is shut, or nothing more may be asked
            }
            if *question == Question::NtpPrivate && (known || self.records.ntp.is_some()) {
                self.records.ntp.get_or_insert_default().private_answers = Some(false);
                self.spoken = Some(Spoken::Ntp);
            }
        }
    }

    /// Fetches what the answers referred to, at the same address.
    pub(super) async fn follow(&mut self, connect: &impl Connect) {
        for referral in std::mem::take(&mut self.referrals) {
            self.used += 1;
            let fetched = place::fetch(self.endpoint, &referral, connect, self.settings).await;
            let Some(response) = fetched else { continue };
            match upnp::parse(&response.body) {
                Ok(found) if self.records.upnp.is_none() => {
                    self.records.upnp = Some(Box::new(record::description(&found)));
                }
                Err(_) if self.records.http.is_none() && self.spoken == Some(Spoken::Wsd) => {
                    self.records.http = Some(Box::new(record::web_server(&response)));
                }
                _ => {}
            }
        }
    }

    /// The name plate of a controller.
    pub(super) async fn identify_controller(&mut self) {
        let Some(channel) = self.open().await else { return };
        let mut dialogue = Dialogue::new(channel, &self.settings.limits);
        let found = controller::read_name_plate(&mut dialogue, self.settings.limits.answer / ASKS_MAX).await;
        self.spoken = found.record.is_some().then_some(Spoken::Bacnet);
        self.records.bacnet = found.record.map(Box::new);
        self.ending = found.ending.map(Into::into);
    }

    /// A channel for an exchange of its own.
    async fn open(&mut self) -> Option<Channel> {
        match self.datagrams.open(self.endpoint, self.check).await {
            Ok(channel) => {
                self.used += 1;
                self.vantage = channel.local_addr().or(self.vantage);
                Some(channel)
            }
            Err(error) => {
                self.ending = Some(error.into());
                None
            }
        }
    }

    /// One exchange. Whatever comes of it is noted.
    async fn put(&mut self, question: &Question) {
        let Some(channel) = self.open().await else { return };
        let asked = Asked::new(question, self.endpoint, &channel, self.settings);
        let mut dialogue = Dialogue::new(channel, &self.settings.limits);
        let replies = self.converse(&mut dialogue, &asked).await;
        let best = self.amplified.as_ref().map_or(0, Tally::bandwidth_factor_milli);
        if dialogue.tally().bandwidth_factor_milli() > best {
            self.amplified = Some(dialogue.tally());
        }
        record::learn(&mut self.records, &replies.answers, &asked);
        self.refer(&replies.answers);
        if let Some(last) = replies.answers.last() {
            if self.spoken.is_none() {
                self.first = None;
            }
            self.spoken = Some(asked.spoken(last));
        }
        self.first = self.first.take().or(replies.first);
        self.ending = replies.ending.map(Into::into);
    }

    /// Puts a question, again when nothing answers it, and reads its answers.
    async fn converse(&self, dialogue: &mut Dialogue, asked: &Asked) -> Replies {
        let mut replies = Replies { answers: Vec::new(), first: None, ending: None };
        for _ in 0..ASKS_MAX {
            replies.ending = match dialogue.say(asked.sent()).await {
                Ok(()) => self.listen(dialogue, asked, &mut replies).await.err(),
                Err(ending) => Some(ending),
            };
            if !replies.answers.is_empty() || replies.ending != Some(Ending::Silent) {
                break;
            }
        }
        // Answers come until there are no more.
        if !replies.answers.is_empty() && replies.ending == Some(Ending::Silent) {
            replies.ending = None;
        }
        replies
    }

    /// Hears until an answer is over, or nothing more comes.
    async fn listen(
        &self,
        dialogue: &mut Dialogue,
        asked: &Asked,
        replies: &mut Replies,
    ) -> Result<(), Ending> {
        let limits = &self.settings.limits;
        loop {
            let wait = if replies.answers.is_empty() { limits.answer / ASKS_MAX } else { limits.listen };
            let bytes = dialogue.hear(wait).await?;
            let Some(answer) = datagram::read(&bytes) else {
                replies.first.get_or_insert(bytes);
                continue;
            };
            if !asked.is_answered_by(&answer) {
                continue;
            }
            let first = replies.answers.is_empty();
            if let Some(reply) = asked.reply(&answer, first) {
                dialogue.say(&reply).await?;
            }
            let more = asked.has_many() || asked.is_provisional(&answer);
            if first {
                replies.first = Some(bytes);
            }
            replies.answers.push(answer);
            // How much comes is only known when nothing more does.
            if !more && self.check != Check::Reflector {
                return Ok(());
            }
        }
    }

    /// Notes the places at the address asked to which the answers refer.
    fn refer(&mut self, answers: &[Answer]) {
        for answer in answers {
            let urls: Vec<&str> = match answer {
                Answer::Ssdp(answer) => answer.location.iter().map(String::as_str).collect(),
                Answer::Wsd(answer) => {
                    answer.matches.iter().flat_map(|found| &found.xaddrs).map(String::as_str).collect()
                }
                _ => Vec::new(),
            };
            for place in urls.into_iter().filter_map(|url| referral(url, self.endpoint.addr)) {
                if self.referrals.len() < REFERRALS_MAX && !self.referrals.contains(&place) {
                    self.referrals.push(place);
                }
            }
        }
    }

    pub(super) fn finish(self) -> ProbeResult {
        let heard = self.spoken.is_some() || self.first.is_some();
        let mut result = match self.ending {
            Some(ending) if !heard || ending.is_limit() => ending.result(self.check),
            _ => ProbeResult::new(self.check, Outcome::Answered, None),
        };
        result.records = self.records;
        result.protocol = self.spoken.map(|spoken| spoken.name().to_owned());
        if let (None, Some(first)) = (self.spoken, &self.first) {
            result.protocol = Some("unknown".to_owned());
            result.records.unknown = Some(Box::new(unknown(first)));
        }
        if self.check == Check::Reflector {
            result.records.reflector = self.amplified.as_ref().map(record::reflector).map(Box::new);
        }
        // An agent repeats the community in its answer.
        let kept = self.first.filter(|_| self.spoken != Some(Spoken::Snmp));
        result.blobs.extend(kept.and_then(|first| banner(&first, self.settings.blob_bytes_max)));
        result.vantage = self.vantage;
        result.connections = self.used;
        result
    }
}

impl NoConnection {
    /// A limit or a refusal of ours, not the host's silence.
    fn is_limit(&self) -> bool {
        self.outcome == Outcome::Limited && self.reason != "silent"
    }
}

impl From<Ending> for NoConnection {
    fn from(ending: Ending) -> Self {
        let outcome = match ending {
            Ending::Silent | Ending::Limit(_) => Outcome::Limited,
            Ending::Refused => Outcome::Refused,
            Ending::Filtered(_) => Outcome::Filtered,
            Ending::Failed => Outcome::Error,
        };
        Self { outcome, reason: ending.reason().to_owned() }
    }
}
