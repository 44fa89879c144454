//! Matches paths with a tree over the segments of all templates. Literals are tried before `*`, and `*` before `**`.
//!
//! A search walks the tree a few times. No walk visits a node twice, so the size of the tree bounds the cost of a
//! search.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::template::{Capture, Segment, Template};

/// Maximum length of a path in bytes. Longer paths match no rule.
pub const MAX_PATH_BYTES: usize = 8 * 1024;
/// Maximum number of segments of a path. Paths with more segments match no rule.
pub const MAX_SEGMENTS: usize = 256;

/// The HTTP methods of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Only this HTTP method.
    Only(Method),
    /// `custom: {kind: "*"}`: every HTTP method for which no other rule matches the path.
    Any,
}

/// Result of a search.
#[derive(Debug)]
pub enum Found<'p> {
    /// The index of the matching rule, and the path that matched.
    Rule(usize, Path<'p>),
    /// A rule matches the path, but only for these HTTP methods.
    OtherMethods(Vec<Method>),
    /// No rule matches the path.
    Nothing,
    /// The percent-encoding is invalid, or the decoded path is not UTF-8.
    Malformed,
}

/// The percent-encoded segments of a path, without the custom verb.
#[derive(Debug)]
pub struct Path<'p> {
    raw: Vec<&'p str>,
}

impl<'p> Path<'p> {
    /// Returns the decoded text of a variable. If it can cover several segments, `%2F` stays encoded, because a
    /// decoded slash would look like a separator.
    pub fn value(&self, capture: &Capture) -> Cow<'p, str> {
        let end = capture.end.unwrap_or(self.raw.len());
        match self.raw.get(capture.start..end) {
            Some([single]) if capture.is_single() => decode(single).unwrap_or_default(),
            Some(parts) => {
                let mut value = String::new();
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        value.push('/');
                    }
                    decode_reserved(part, &mut value);
                }
                value.into()
            }
            None => Cow::Borrowed(""),
        }
    }
}

/// The error for two rules that match the same requests. It contains the index of the earlier rule.
#[derive(Debug)]
pub struct Conflict(pub usize);

#[derive(Debug, Default)]
struct Node {
    literals: Vec<(Box<str>, usize)>,
    one: Option<usize>,
    /// Rules whose templates end at this node.
    ends: Vec<End>,
    /// Rules whose templates continue with `**` after this node.
    rests: Vec<End>,
}

#[derive(Debug)]
struct End {
    custom: Option<Box<str>>,
    verb: Verb,
    rule: usize,
}

/// A tree of path segments. Node 0 is the root.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    has_custom: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            has_custom: false,
        }
    }
}

impl Tree {
    /// Adds a rule at the node of its template.
    ///
    /// # Errors
    /// An earlier rule has the same HTTP method and matches the same paths.
    pub fn add(&mut self, template: &Template, verb: Verb, rule: usize) -> Result<(), Conflict> {
        let mut at = 0;
        let mut rest = false;
        for segment in &template.segments {
            at = match segment {
                Segment::Literal(text) => self.literal_child(at, text),
                Segment::One => self.one_child(at),
                Segment::Rest => {
                    rest = true;
                    at
                }
            };
        }
        let node = &mut self.nodes[at];
        let ends = if rest { &mut node.rests } else { &mut node.ends };
        if let Some(earlier) = ends.iter().find(|end| end.custom == template.verb && end.verb == verb) {
            return Err(Conflict(earlier.rule));
        }
        self.has_custom |= template.verb.is_some();
        ends.push(End {
            custom: template.verb.clone(),
            verb,
            rule,
        });
        Ok(())
    }

    /// Finds the rule for an HTTP method and a path. A HEAD request without a rule uses the rule for GET.
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'p> {
        let Some(inner) = path.strip_prefix('/').filter(|_| path.len() <= MAX_PATH_BYTES) else {
            return Found::Nothing;
        };
        let mut raw = Vec::with_capacity(8);
        if !inner.is_empty() {
            raw.extend(inner.split('/').take(MAX_SEGMENTS + 1));
        }
        if raw.len() > MAX_SEGMENTS {
            return Found::Nothing;
        }
        if !inner.contains('%') {
            let plain = raw.clone();
            return self.search(method, raw, &plain, Some);
        }
        match raw.iter().map(|part| decode(part)).collect::<Option<Vec<_>>>() {
            Some(decoded) => self.search(method, raw, &decoded, decode),
            None => Found::Malformed,
        }
    }

    fn search<'p, T: AsRef<str> + Clone>(
        &self,
        method: &Method,
        mut raw: Vec<&'p str>,
        decoded: &[T],
        decode: impl Fn(&'p str) -> Option<T>,
    ) -> Found<'p> {
        // A colon in the last segment may begin a custom verb, which is more specific and therefore tried first.
        let cut = self.has_custom.then(|| cut_custom(&raw)).flatten();
        let custom = cut.and_then(|(whole, custom)| {
            let mut shorter = decoded.to_vec();
            *shorter.last_mut()? = decode(whole)?;
            Some((whole, custom, shorter))
        });
        for wanted in [Some(method), (method == Method::HEAD).then_some(&Method::GET)]
            .into_iter()
            .flatten()
        {
            if let Some((whole, custom, shorter)) = &custom
                && let Some(rule) = self.choose(shorter, Some(custom), wanted)
            {
                raw.pop();
                raw.push(whole);
                return Found::Rule(rule, Path { raw });
            }
            if let Some(rule) = self.choose(decoded, None, wanted) {
                return Found::Rule(rule, Path { raw });
            }
        }
        let mut others = self.methods_at(decoded, None);
        if let Some((_, custom, shorter)) = &custom {
            others.extend(self.methods_at(shorter, Some(custom)));
        }
        if others.is_empty() {
            return Found::Nothing;
        }
        if others.contains(&Method::GET) {
            others.push(Method::HEAD);
        }
        others.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        others.dedup();
        Found::OtherMethods(others)
    }

    fn choose<T: AsRef<str>>(&self, path: &[T], custom: Option<&str>, method: &Method) -> Option<usize> {
        let mut any = None;
        let mut exact = None;
        self.walk(0, path, &mut |end| {
            if end.custom.as_deref() != custom {
                return false;
            }
            match &end.verb {
                Verb::Only(only) if only == method => exact = Some(end.rule),
                Verb::Only(_) => {}
                Verb::Any => any = any.or(Some(end.rule)),
            }
            exact.is_some()
        });
        exact.or(any)
    }

    fn methods_at<T: AsRef<str>>(&self, path: &[T], custom: Option<&str>) -> Vec<Method> {
        let mut methods = Vec::new();
        self.walk(0, path, &mut |end| {
            if let Verb::Only(method) = &end.verb
                && end.custom.as_deref() == custom
            {
                methods.push(method.clone());
            }
            false
        });
        methods
    }

    /// Calls `take` with each rule that matches the path, until it returns true. More specific rules come first.
    fn walk<T: AsRef<str>>(&self, at: usize, path: &[T], take: &mut dyn FnMut(&End) -> bool) -> bool {
        let node = &self.nodes[at];
        if let Some((first, rest)) = path.split_first() {
            let first = first.as_ref();
            if let Some((_, child)) = node.literals.iter().find(|(text, _)| **text == *first)
                && self.walk(*child, rest, take)
            {
                return true;
            }
            if let Some(child) = node.one
                && !first.is_empty()
                && self.walk(child, rest, take)
            {
                return true;
            }
        } else if node.ends.iter().any(&mut *take) {
            return true;
        }
        node.rests.iter().any(take)
    }

    fn literal_child(&mut self, at: usize, text: &str) -> usize {
        if let Some((_, child)) = self.nodes[at].literals.iter().find(|(known, _)| **known == *text) {
            return *child;
        }
        let child = self.push();
        self.nodes[at].literals.push((text.into(), child));
        child
    }

    fn one_child(&mut self, at: usize) -> usize {
        if let Some(child) = self.nodes[at].one {
            return child;
        }
        let child = self.push();
        self.nodes[at].one = Some(child);
        child
    }

    fn push(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

/// Splits the last segment at its last colon into text and custom verb. A percent-encoded colon does not count.
fn cut_custom<'p>(raw: &[&'p str]) -> Option<(&'p str, &'p str)> {
    let (whole, custom) = raw.last()?.rsplit_once(':')?;
    (!custom.is_empty()).then_some((whole, custom))
}

/// Decodes percent-encoded text; `None` if an escape is invalid or the result is not UTF-8.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let whole = raw.split('%').skip(1).all(|part| {
        let escape = part.as_bytes().get(..2);
        escape.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok()
}

/// Decodes one segment of a variable, except `%2F`.
fn decode_reserved(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = [rest.find("%2F"), rest.find("%2f")].into_iter().flatten().min() {
        out.push_str(&decode(&rest[..at]).unwrap_or_default());
        out.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    out.push_str(&decode(rest).unwrap_or_default());
}
