//! References to secrets in texts: `${secret:NAME}`.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

const OPEN: &str = "${secret:";
const CLOSE: char = '}';
/// Replaces a value that occurs in a text.
const MASK: &str = "***";

/// A text with the values of its references.
#[derive(Debug)]
pub struct Filled {
    pub text: SecretString,
    /// The values in the text.
    pub values: Vec<SecretString>,
}

/// The secrets that the commands of a run may use.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// Replaces the references in a text by their values, for a request to `host`.
    ///
    /// # Errors
    /// A text for the user, without values.
    async fn fill(&self, host: &str, text: &SecretString) -> Result<Filled, String>;
}

/// Returns the number of references in a text.
pub fn count(text: &str) -> usize {
    text.matches(OPEN).count()
}

/// A text that is divided at its references.
pub struct Divided<'a> {
    /// The texts around the references, one more than there are names.
    texts: Vec<&'a str>,
    pub names: Vec<&'a str>,
}

impl<'a> Divided<'a> {
    /// # Errors
    /// A reference without its end.
    pub fn new(text: &'a SecretString) -> Result<Self, String> {
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        let mut rest = text.expose_secret();
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (name, after) = after
                .split_once(CLOSE)
                .ok_or_else(|| format!("a reference {OPEN}…{CLOSE} is not closed"))?;
            texts.push(before);
            names.push(name);
            rest = after;
        }
        texts.push(rest);
        Ok(Self { texts, names })
    }

    /// Inserts one value for each name.
    pub fn fill(&self, values: Vec<SecretString>) -> Filled {
        let mut filled = String::new();
        for (at, text) in self.texts.iter().enumerate() {
            filled.push_str(text);
            filled.push_str(values.get(at).map_or("", |value| value.expose_secret()));
        }
        Filled {
            text: SecretString::from(filled),
            values,
        }
    }
}

/// Removes values from a text that another program wrote.
pub fn redact(text: &str, values: &[SecretString]) -> String {
    let mut redacted = text.to_owned();
    for value in values {
        redacted = redacted.replace(value.expose_secret(), MASK);
    }
    redacted
}
