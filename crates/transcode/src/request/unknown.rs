//! Errors for unknown query parameters and form fields. They suggest the most similar known name.

use std::fmt::Write as _;

use super::{Draft, resolve};
use crate::{
    Error,
    json::{Cardinality, FieldInfo, FieldKind},
    route::BodyRule,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Query,
    Form,
}

impl Draft<'_> {
    /// Returns true if a name, or a path such as `page.size`, refers to a request field.
    pub(super) fn has_field(&self, name: &str) -> bool {
        resolve(self.codec, self.method().input, name).is_some()
    }

    pub(super) fn unknown(&self, name: &str, place: Place) -> Error {
        let short: String = name.chars().take(64).collect();
        let what = match place {
            Place::Query => "query parameter",
            Place::Form => "form field",
        };
        let mut message = format!("unknown {what} {short:?}");
        let is_in_body = place == Place::Query && self.rule.body == BodyRule::Whole && self.has_field(name);
        if is_in_body {
            message.push_str("; send this field in the body");
        } else if let Some(meant) = closest(name, self.names(place)) {
            // Writing to a String cannot fail.
            let _ = write!(message, "; did you mean {meant:?}?");
        }
        Error::invalid_field(short, message)
    }

    fn names(&self, place: Place) -> impl Iterator<Item = &str> {
        let method = self.method();
        let aliases = method.aliases.iter().filter_map(|alias| alias.query.as_deref());
        let fields = self
            .codec
            .fields(method.input)
            .filter(move |field| self.takes(place, field));
        let aliases = aliases.filter(move |_| place == Place::Query);
        fields.map(|field| field.name).chain(aliases)
    }

    /// Returns true if a name at `place`, in the query or in a form, can set `field`.
    fn takes(&self, place: Place, field: &FieldInfo<'_>) -> bool {
        let is_set_otherwise = match (place, self.rule.body) {
            (Place::Query, BodyRule::Whole | BodyRule::Raw(None)) => true,
            (_, BodyRule::Field(number) | BodyRule::Raw(Some(number))) => number == field.number,
            (Place::Query, BodyRule::None) | (Place::Form, _) => false,
        };
        let is_text = field.cardinality != Cardinality::Map && !matches!(field.kind, FieldKind::Message(_));
        is_text && !is_set_otherwise && !self.is_bound(field.name)
    }
}

fn closest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Comparing long names would be slow. No known name contains a dot.
    if wrong.len() > 64 || wrong.contains('.') {
        return None;
    }
    let plain = |name: &str| name.replace(['_', '-', '[', ']'], "").to_lowercase();
    let wrong_plain = plain(wrong);
    let distances = known.filter(|known| *known != wrong).map(|known| {
        let known_plain = plain(known);
        let longest = known_plain.chars().count().max(wrong_plain.chars().count());
        (strsim::osa_distance(&wrong_plain, &known_plain), longest / 3, known)
    });
    distances
        .filter(|(distance, limit, _)| distance <= limit)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., known)| known)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_similar_name_is_suggested() {
        let known = ["prompt", "files", "thread_id", "model_name", "mode"];
        for (wrong, meant) in [
            ("file", Some("files")),
            ("promt", Some("prompt")),
            ("threadid", Some("thread_id")),
            ("thread-Id", Some("thread_id")),
            ("thread", Some("thread_id")),
            ("modle", Some("mode")),
            ("attachments", None),
            ("x", None),
            ("files.name", None),
        ] {
            assert_eq!(closest(wrong, known.into_iter()), meant, "{wrong}");
        }
    }
}
