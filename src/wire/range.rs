//! Evaluates the range and conditional headers of a request (RFC 9110, sections 13 and 14).

/// The range headers of a request. A missing header is an empty string.
pub(super) struct Asked<'a> {
    pub(super) range: &'a str,
    pub(super) if_range: &'a str,
    pub(super) if_none_match: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole file, with status 200.
    Whole,
    /// The bytes from the first to the second offset, both inclusive, with status 206.
    Range(u64, u64),
    /// Status 304, because the client already has the current file.
    Unchanged,
    /// Status 416, because the range is outside the file.
    Unsatisfiable,
}

impl Asked<'_> {
    pub(super) fn resolve(&self, size: u64, etag: &str) -> Part {
        let known = self
            .if_none_match
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"));
        if known.into_iter().any(|tag| tag == etag || tag == "*") {
            return Part::Unchanged;
        }
        if !self.if_range.is_empty() && self.if_range != etag {
            return Part::Whole;
        }
        range(self.range, size)
    }
}

impl Part {
    /// Returns the HTTP status; `None` for the default status, 200.
    pub(super) fn status(self) -> Option<u16> {
        match self {
            Self::Whole => None,
            Self::Range(..) => Some(206),
            Self::Unchanged => Some(304),
            Self::Unsatisfiable => Some(416),
        }
    }

    pub(super) fn content_range(self, size: u64) -> Option<String> {
        match self {
            Self::Range(first, last) => Some(format!("bytes {first}-{last}/{size}")),
            Self::Unsatisfiable => Some(format!("bytes */{size}")),
            Self::Whole | Self::Unchanged => None,
        }
    }

    pub(super) fn bounds(self, size: u64) -> (u64, u64) {
        match self {
            Self::Whole => (0, size),
            Self::Range(first, last) => (first, last - first + 1),
            Self::Unchanged | Self::Unsatisfiable => (0, 0),
        }
    }
}

// Parses a single range. A list of ranges or an invalid range is ignored, as RFC 9110 allows.
fn range(text: &str, size: u64) -> Part {
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (first, last) = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Part::Unsatisfiable,
            Some(length) => (size.saturating_sub(length), size.saturating_sub(1)),
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, size.saturating_sub(1)),
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
            _ => return Part::Whole,
        },
    };
    if first >= size {
        Part::Unsatisfiable
    } else {
        Part::Range(first, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(range: &str, if_range: &str, if_none_match: &str) -> Part {
        Asked {
            range,
            if_range,
            if_none_match,
        }
        .resolve(10, "\"a\"")
    }

    #[test]
    fn a_range_is_limited_to_the_size_of_the_file() {
        for (text, part) in [
            ("", Part::Whole),
            ("bytes=0-3", Part::Range(0, 3)),
            ("bytes=4-", Part::Range(4, 9)),
            ("bytes=-3", Part::Range(7, 9)),
            ("bytes=-30", Part::Range(0, 9)),
            ("bytes=8-100", Part::Range(8, 9)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-3", Part::Whole),
            ("bytes=x-", Part::Whole),
        ] {
            assert_eq!(resolve(text, "", ""), part, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Part::Unsatisfiable);
    }

    #[test]
    fn entity_tags_are_checked_before_ranges() {
        assert_eq!(resolve("bytes=0-3", "\"a\"", ""), Part::Range(0, 3));
        assert_eq!(resolve("bytes=0-3", "\"b\"", ""), Part::Whole);
        assert_eq!(resolve("bytes=0-3", "", "\"b\", W/\"a\""), Part::Unchanged);
    }
}
