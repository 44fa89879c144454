//! Converts tool call ids to the provider's format. A call and its result get the same id.

use std::collections::{HashMap, HashSet};

use crate::{config::CallIds, llm::upstream::turns::hash};

/// Maximum bytes of an id in OpenAI's API.
const MAX_ID_BYTES: usize = 40;

/// Bytes of an id in Mistral's API.
const MISTRAL_ID_BYTES: usize = 9;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) struct Ids {
    style: CallIds,
    /// Maps the engine's call ids to the ids in the request. If an engine id is repeated, the newest call counts.
    spelled: HashMap<String, String>,
    calls: usize,
}

impl Ids {
    pub(super) fn new(style: CallIds) -> Self {
        Self {
            style,
            spelled: HashMap::new(),
            calls: 0,
        }
    }

    /// Returns the id to send for a call. `own` is the provider's id of the call. `used` contains the ids of the
    /// message's earlier calls, and gets the new id.
    pub(super) fn of_call(&mut self, id: &str, name: &str, own: Option<&str>, used: &mut HashSet<String>) -> String {
        let own = own.filter(|own| self.is_right(own) && !used.contains(*own));
        let spelling = own.map_or_else(|| self.spell(id, name), str::to_owned);
        self.calls += 1;
        used.insert(spelling.clone());
        self.spelled.insert(id.to_owned(), spelling.clone());
        spelling
    }

    pub(super) fn of_result(&self, id: &str) -> String {
        self.spelled.get(id).cloned().unwrap_or_else(|| self.spell(id, "tool"))
    }

    /// Returns whether the provider's own id can be sent. Mistral may refuse ids that it generated itself.
    fn is_right(&self, own: &str) -> bool {
        self.style != CallIds::Mistral || is_mistral(own)
    }

    fn spell(&self, id: &str, name: &str) -> String {
        match self.style {
            CallIds::Any if id.len() <= MAX_ID_BYTES => id.to_owned(),
            CallIds::Any => format!("call_{}", short(id)),
            CallIds::Mistral if is_mistral(id) => id.to_owned(),
            CallIds::Mistral => short(id),
            CallIds::Kimi => format!("functions.{name}:{}", self.calls),
        }
    }
}

fn is_mistral(id: &str) -> bool {
    id.len() == MISTRAL_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns nine letters and digits that depend only on the id, so that every request contains the same short id.
fn short(id: &str) -> String {
    let mut hash = hash(id);
    let mut text = String::with_capacity(MISTRAL_ID_BYTES);
    for _ in 0..MISTRAL_ID_BYTES {
        let position = usize::try_from(hash % 62).unwrap_or_default();
        text.push(char::from(ALPHABET[position]));
        hash /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spelled_for_the_provider() {
        let mut used = HashSet::new();
        let mut any = Ids::new(CallIds::Any);
        assert_eq!(
            any.of_call("call_1", "bash", Some("functions.bash:0"), &mut used),
            "functions.bash:0"
        );
        assert_eq!(
            any.of_call("call_2", "bash", Some("functions.bash:0"), &mut used),
            "call_2"
        );
        assert_eq!(
            (any.of_result("call_1"), any.of_result("call_2")),
            ("functions.bash:0".into(), "call_2".into())
        );
        let long = "x".repeat(60);
        assert!(any.of_call(&long, "bash", None, &mut used).len() <= MAX_ID_BYTES);

        let mut mistral = Ids::new(CallIds::Mistral);
        let spelled = mistral.of_call("call_PTLP8xhu3uwZk4l3nlnrrJha", "bash", None, &mut HashSet::new());
        assert!(is_mistral(&spelled), "{spelled}");
        assert_eq!(mistral.of_result("call_PTLP8xhu3uwZk4l3nlnrrJha"), spelled);
        assert_eq!(
            mistral.of_call("D681PevKs", "bash", None, &mut HashSet::new()),
            "D681PevKs"
        );

        let mut kimi = Ids::new(CallIds::Kimi);
        assert_eq!(
            kimi.of_call("call_1", "bash", None, &mut HashSet::new()),
            "functions.bash:0"
        );
        assert_eq!(
            kimi.of_call("call_2", "read", None, &mut HashSet::new()),
            "functions.read:1"
        );
    }
}
