//! The icon library, and icon suggestions for an agent's name. The tier's default model chooses the icon. If the
//! model gives no usable answer, a hash of the agent's name chooses the icon.

use std::time::Duration;

use serde::Deserialize;

use super::rules;
use crate::{
    accounts::{Caller, ensure},
    app::App,
    error::Result,
    model_calls::{self, OneOffCall},
};

/// Maximum time for each of two waits: for the account's earlier suggestions, and for the model's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of output tokens, including reasoning tokens.
const MAX_TOKENS: u32 = 1_000;
/// Maximum size of an answer in bytes; a longer answer is not used.
const MAX_ANSWER: usize = 4_096;

/// Names of the Lucide icons that suit an agent.
pub const LIBRARY: &[&str] = &[
    "bot",
    "code",
    "brain",
    "sparkles",
    "activity",
    "alarm-clock",
    "anchor",
    "archive",
    "atom",
    "award",
    "banknote",
    "bar-chart",
    "battery",
    "beaker",
    "bell",
    "bike",
    "book",
    "book-open",
    "bookmark",
    "briefcase",
    "bug",
    "building",
    "calculator",
    "calendar",
    "camera",
    "car",
    "chart-line",
    "chart-pie",
    "check",
    "chef-hat",
    "clipboard",
    "clock",
    "cloud",
    "coffee",
    "coins",
    "compass",
    "cpu",
    "credit-card",
    "crown",
    "database",
    "diamond",
    "dna",
    "dollar-sign",
    "eye",
    "feather",
    "file-text",
    "film",
    "filter",
    "flag",
    "flame",
    "flask-conical",
    "folder",
    "gamepad",
    "gauge",
    "gem",
    "gift",
    "git-branch",
    "globe",
    "graduation-cap",
    "hammer",
    "headphones",
    "heart",
    "home",
    "image",
    "inbox",
    "key",
    "languages",
    "laptop",
    "layers",
    "leaf",
    "library",
    "lightbulb",
    "link",
    "list",
    "lock",
    "mail",
    "map",
    "megaphone",
    "message-circle",
    "message-square",
    "mic",
    "microscope",
    "moon",
    "music",
    "newspaper",
    "notebook",
    "package",
    "palette",
    "pen",
    "pencil",
    "phone",
    "pie-chart",
    "plane",
    "puzzle",
    "radar",
    "receipt",
    "rocket",
    "scale",
    "school",
    "scissors",
    "search",
    "send",
    "server",
    "settings",
    "shield",
    "ship",
    "shopping-cart",
    "smartphone",
    "star",
    "stethoscope",
    "sun",
    "table",
    "tag",
    "target",
    "telescope",
    "terminal",
    "thermometer",
    "ticket",
    "train",
    "trees",
    "trending-up",
    "trophy",
    "truck",
    "umbrella",
    "user",
    "users",
    "video",
    "wallet",
    "wand",
    "wrench",
    "zap",
];

/// Pairs of an icon colour and a background colour with readable contrast.
const PALETTE: &[(&str, &str)] = &[
    ("#6366F1", "#EEF2FF"),
    ("#0EA5E9", "#F0F9FF"),
    ("#0F766E", "#F0FDFA"),
    ("#15803D", "#F0FDF4"),
    ("#B45309", "#FFFBEB"),
    ("#C2410C", "#FFF7ED"),
    ("#DC2626", "#FEF2F2"),
    ("#DB2777", "#FDF2F8"),
    ("#9333EA", "#FAF5FF"),
    ("#334155", "#F1F5F9"),
];

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Icon {
    #[serde(rename = "icon_name")]
    pub name: String,
    #[serde(rename = "icon_color")]
    pub color: String,
    #[serde(rename = "icon_background")]
    pub background: String,
}

/// Suggests an icon for an agent's name. The account pays for the model call with credits that are not reserved for
/// runs.
///
/// `held` returns the reserved amount in millionths of a credit. `held` is awaited only after the account's earlier
/// suggestions have finished, so that the amount is current.
///
/// # Errors
/// INVALID_REQUEST if the name is not a valid agent name; INSUFFICIENT_CREDITS if the balance does not cover the call;
/// UNAVAILABLE if too many suggestions of the account are waiting or if the wait times out; database errors. A failed
/// model call is not an error.
pub async fn generate(
    app: &App,
    caller: &Caller,
    name: &str,
    held: impl Future<Output = Result<i64>> + Send,
) -> Result<Icon> {
    rules::name(name)?;
    let tier = ensure::tier(app, app.db.read(), caller.account_id).await?;
    let answer = model_calls::call(app, caller.account_id, request(&tier.default_model, name), held).await?;
    Ok(answer.as_deref().and_then(understood).unwrap_or_else(|| by_hash(name)))
}

/// Returns true for a colour such as `#6366F1`.
pub(super) fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
}

fn request<'a>(model: &'a str, name: &str) -> OneOffCall<'a> {
    OneOffCall {
        purpose: "icon",
        model,
        system: format!(
            "You choose an icon for a software agent by its name. Answer with one JSON object and nothing else: \
             {{\"icon_name\": one of the names below, \"icon_color\": \"#RRGGBB\", \"icon_background\": \"#RRGGBB\"}}. Choose a \
             light background and a colour that is readable on it. Names: {}.",
            LIBRARY.join(", ")
        ),
        message: format!("The agent's name is {}.", serde_json::Value::from(name)),
        max_output_tokens: MAX_TOKENS,
        max_answer_bytes: MAX_ANSWER,
        time_limit: TIMEOUT,
    }
}

// Ignores text around the JSON object, because models often add some.
fn understood(answer: &str) -> Option<Icon> {
    let object = answer.get(answer.find('{')?..=answer.rfind('}')?)?;
    let icon: Icon = serde_json::from_str(object).ok()?;
    let fits = LIBRARY.contains(&icon.name.as_str()) && is_colour(&icon.color) && is_colour(&icon.background);
    fits.then_some(icon)
}

fn by_hash(name: &str) -> Icon {
    let hash = blake3::hash(name.trim().to_lowercase().as_bytes());
    let pick = |at: usize, length: usize| {
        usize::from(u16::from_be_bytes([hash.as_bytes()[at], hash.as_bytes()[at + 1]])) % length
    };
    let (color, background) = PALETTE[pick(2, PALETTE.len())];
    Icon {
        name: LIBRARY[pick(0, LIBRARY.len())].to_owned(),
        color: color.to_owned(),
        background: background.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_icon_of_the_library_with_valid_colours_is_accepted() {
        let good = r##"Here: {"icon_name": "scale", "icon_color": "#112233", "icon_background": "#FFFFFF"} - done"##;
        assert_eq!(understood(good).map(|icon| icon.name).as_deref(), Some("scale"));
        for nonsense in [
            "",
            "}{",
            "no",
            r##"{"icon_name": "<script>", "icon_color": "#112233", "icon_background": "#FFFFFF"}"##,
            r##"{"icon_name": "scale", "icon_color": "red", "icon_background": "#FFFFFF"}"##,
            r#"{"icon_name": "scale"}"#,
        ] {
            assert_eq!(understood(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn every_library_icon_is_a_valid_agent_icon() {
        for name in LIBRARY {
            assert!(rules::icon_name(name).is_ok(), "{name}");
        }
        assert!(
            PALETTE
                .iter()
                .all(|(color, background)| is_colour(color) && is_colour(background))
        );
        assert_eq!(by_hash("Lawyer"), by_hash(" lawyer "));
        assert_ne!(by_hash("Lawyer"), by_hash("Cook"));
    }
}
