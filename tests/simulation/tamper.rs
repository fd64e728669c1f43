//! Defects put into a run on purpose, between the server and a client: the simulation must see each of them.

use serde_json::Value;

use super::audit::Claim;
use super::cursor;
use super::network::LinkId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A message is dropped, and nobody is told.
    Drop,
    /// What could not be recovered is said to be recovered.
    FalseRecovery,
    /// A message is delivered twice.
    Twice,
    /// A message overtakes one of `high` that was published before it.
    LowOvertakesHigh,
    /// An event of a stream has its message's position as its id.
    SeqAsId,
    /// A message that a receiver did not confirm is counted as confirmed.
    FalseConfirmation,
}

/// Passes on what servers write, but for the defect. It strikes once in every so many messages that it could be put in.
pub struct Tamper {
    defect: Option<Defect>,
    chances: u32,
    /// A message of `high` that waits for one that overtakes it.
    held: Option<(LinkId, String, Value)>,
    /// Recoveries that were only pretended: the session, and the first position that its gap would name.
    pretended: Vec<(LinkId, String, u64)>,
}

/// Of so many chances one is used.
const CHANCES: u32 = 20;

impl Tamper {
    pub const fn new(defect: Option<Defect>) -> Self {
        Self { defect, chances: 0, held: None, pretended: Vec::new() }
    }

    /// The texts that a client gets in place of one. `claims` are what it claimed when it authenticated.
    pub fn pass(&mut self, link: LinkId, claims: &[(String, Claim)], text: String) -> Vec<String> {
        let Some(defect) = self.defect else {
            return vec![text];
        };
        let envelope: Value = serde_json::from_str(&text).expect("the server sends JSON");
        match defect {
            Defect::Drop if is_plain(&envelope) && self.strikes() => Vec::new(),
            Defect::Twice if is_plain(&envelope) && self.strikes() => vec![text.clone(), text],
            Defect::FalseRecovery => self.pretend(link, claims, envelope, text),
            Defect::LowOvertakesHigh => self.overtake(link, envelope, text),
            Defect::FalseConfirmation => vec![confirm_expired(envelope, text)],
            _ => vec![text],
        }
    }

    fn strikes(&mut self) -> bool {
        self.chances += 1;
        self.chances.is_multiple_of(CHANCES)
    }

    /// `recovered: false` becomes `true` at the position that was claimed, and the gap is not told.
    fn pretend(&mut self, link: LinkId, claims: &[(String, Claim)], mut envelope: Value, text: String) -> Vec<String> {
        let payload = &mut envelope["payload"];
        if let (Some(name), Some(from)) = (payload["sessionId"].as_str(), payload["from"].as_u64()) {
            let is_hidden = self.pretended.contains(&(link, name.to_owned(), from));
            return if is_hidden { Vec::new() } else { vec![text] };
        }
        for entry in payload["positions"].as_array_mut().into_iter().flatten() {
            let claim =
                claims.iter().find(|(name, claim)| entry["sessionId"] == **name && entry["epoch"] == *claim.epoch);
            let is_behind = |claim: &&(String, Claim)| entry["seq"].as_u64().is_some_and(|head| claim.1.seq < head);
            if let Some((name, claim)) = claim.filter(is_behind).filter(|_| entry["recovered"] == false) {
                self.pretended.push((link, name.clone(), claim.seq + 1));
                entry["recovered"] = true.into();
                entry["seq"] = claim.seq.into();
            }
        }
        vec![if envelope["type"] == "authentication" { envelope.to_string() } else { text }]
    }

    /// The cursor that a client gets with a message of a stream by a defect. `cursor` is the last one.
    pub fn misname(&self, cursor: &str, user: &str, text: &str) -> Option<String> {
        if self.defect != Some(Defect::SeqAsId) {
            return None;
        }
        let envelope: Value = serde_json::from_str(text).expect("the server sends JSON");
        let (name, seq) = (envelope["sessionId"].as_str()?, envelope["seq"].as_u64()?);
        let mut claims = cursor::read(cursor, user);
        claims.iter_mut().find(|(other, _)| other == name)?.1.seq = seq;
        Some(cursor::write(&claims, user))
    }

    /// A connection is over.
    pub fn forget(&mut self, link: LinkId) {
        self.held.take_if(|(held_at, _, _)| *held_at == link);
    }

    fn overtake(&mut self, link: LinkId, envelope: Value, text: String) -> Vec<String> {
        if let Some((held_at, held, high)) = self.held.take_if(|(held_at, _, _)| *held_at == link) {
            let is_of_session = envelope["sessionId"] == high["sessionId"] && envelope["seq"].is_u64();
            if is_of_session && envelope["priority"] != "high" {
                return vec![text, held];
            }
            if !is_of_session && !envelope["type"].as_str().is_some_and(|kind| kind.starts_with("hashi:")) {
                self.held = Some((held_at, held, high));
                return vec![text];
            }
            return vec![held, text];
        }
        if is_plain(&envelope) && envelope["priority"] == "high" && self.held.is_none() {
            self.held = Some((link, text, envelope));
            return Vec::new();
        }
        vec![text]
    }
}

/// One of the receivers for which a message expired has confirmed it.
fn confirm_expired(mut envelope: Value, text: String) -> String {
    let Some(result) = envelope.pointer_mut("/payload/results/0") else {
        return text;
    };
    match (result["confirmed"].as_u64(), result["expired"].as_u64()) {
        (Some(confirmed), Some(expired)) if expired > 0 => {
            (result["confirmed"], result["expired"]) = ((confirmed + 1).into(), (expired - 1).into());
            envelope.to_string()
        }
        _ => text,
    }
}

/// A message of a session that stands for itself: no newer one of its key can excuse its loss.
fn is_plain(envelope: &Value) -> bool {
    envelope["seq"].is_u64() && envelope["key"].is_null()
}
