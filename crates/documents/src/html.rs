//! Converts HTML to Markdown.
//!
//! `html/tree.rs` parses a page as a browser does, within limits. `html/page.rs` removes the parts that a reader does
//! not see. The crate htmd writes the rest as Markdown, except for tables, which `html/table.rs` writes. Time, memory
//! and stack are bounded for any page.

mod page;
mod table;
mod tree;

use htmd::{
    HtmlToMarkdown,
    options::{BrStyle, BulletListMarker, HrStyle, Options},
};

use url::Url;

use crate::{
    Kind,
    document::{Builder, Document, Unit},
    encoding, markdown,
};

/// Maximum size in bytes of the HTML that is converted. The rest of a longer page is left out.
pub const MAX_BYTES: usize = 16 << 20;

/// The content of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The page's title; `None` if the page has none.
    pub title: Option<String>,
    /// The page as Markdown.
    pub markdown: String,
    /// True if `markdown` has only the beginning of the page, because the page is longer than [`MAX_BYTES`] or too
    /// complex.
    pub truncated: bool,
}

/// Converts a page to Markdown. `charset` is the encoding that the source stated, such as the charset of the HTTP
/// header Content-Type. If `charset` is missing or unknown, the encoding that the page declares is used. Any bytes
/// are accepted. Relative links become absolute if `url` is the address of the page.
///
/// Takes up to a few seconds for 10 MB, so call it on a thread that may block.
pub fn to_markdown(bytes: &[u8], charset: Option<&str>, url: Option<&Url>) -> Text {
    let truncated = bytes.len() > MAX_BYTES;
    let html = encoding::decode_markup(&bytes[..bytes.len().min(MAX_BYTES)], charset);
    let mut text = convert(&html, url);
    text.truncated |= truncated;
    text
}

/// Reads a page as a document.
pub(crate) fn read(bytes: &[u8]) -> Document {
    let page = to_markdown(bytes, None, None);
    let mut builder = Builder::new(Kind::Html, Unit::Part);
    builder.title(page.title);
    builder.push_divided(&page.markdown);
    if page.truncated {
        builder.truncated();
        builder.note("the page is too long or too complex; its rest is left out");
    }
    builder.finish()
}

/// Converts decoded HTML or XHTML.
fn convert(html: &str, url: Option<&Url>) -> Text {
    let converter = HtmlToMarkdown::builder()
        .options(Options {
            hr_style: HrStyle::Dashes,
            br_style: BrStyle::TwoSpaces,
            bullet_list_marker: BulletListMarker::Dash,
            ul_bullet_spacing: 1,
            ol_number_spacing: 1,
            ..Options::default()
        })
        .add_handler(vec!["table"], table::write)
        .build();
    let (document, truncated) = tree::parse(html);
    let title = page::title(&document);
    if let Some(url) = url {
        page::resolve(&document, url);
    }
    page::clean(&document);
    Text {
        title,
        markdown: markdown::tidy(&converter.tree_to_markdown(&document)),
        truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(html: &str) -> String {
        to_markdown(html.as_bytes(), None, None).markdown
    }

    #[test]
    fn title_headings_lists_links_and_code_are_kept() {
        let page = "<!doctype html><html><head><title> A \n page </title></head><body><h1>Head</h1><p>One <b>two</b> \
                    <a href='https://example.com/x'>link</a></p><ul><li>a<li>b</ul><ol><li>c</ol><pre><code>x = 1\n  y</code></pre>";
        let text = to_markdown(page.as_bytes(), None, None);
        assert_eq!(text.title.as_deref(), Some("A page"));
        assert_eq!(
            text.markdown,
            "# Head\n\nOne **two** [link](https://example.com/x)\n\n- a\n- b\n\n1. c\n\n```\nx = 1\n  y\n```"
        );
        assert!(!text.truncated);
    }

    #[test]
    fn hidden_parts_scripts_and_data_links_are_left_out() {
        let page = "<style>p{}</style><script>evil()</script><p hidden>no</p><p style='Display : None'>no</p>\
                    <template><p>no</p></template><svg><title>no</title><text>no</text></svg><noscript>no</noscript>\
                    <p aria-hidden=false>yes<img alt=chart src='data:image/png;base64,AAAA'><img src='data:image/png;base64,AAAA'>\
                    <a href='data:text/html,no'>link</a></p>";
        assert_eq!(markdown(page), "yes![chart]()link");
        assert_eq!(to_markdown(page.as_bytes(), None, None).title, None);
    }

    #[test]
    fn relative_links_become_absolute() {
        let links = "<a href='/a'>a</a> <a href='b?c#d'>b</a> <a href='#e'>e</a> <a href='//other.org/f'>f</a> \
                     <a href='mailto:g@h'>g</a> <img src='i.png' alt='i'> <a href='http://['>j</a>";
        let url = Url::parse("https://example.com/dir/page").ok();
        let page = |html: &str| to_markdown(html.as_bytes(), None, url.as_ref()).markdown;
        assert_eq!(
            page(links),
            "[a](https://example.com/a) [b](https://example.com/dir/b?c#d) [e](#e) [f](https://other.org/f) \
             [g](mailto:g@h) ![i](https://example.com/dir/i.png) [j](http://[)"
        );
        let based = page(&format!("<head><base href='/base/'></head>{links}"));
        assert!(based.contains("[b](https://example.com/base/b?c#d)"), "{based}");
    }

    #[test]
    fn cells_stay_under_their_headings() {
        let page = "<table><caption>Sales</caption><tr><th>Year<th>Quarter<th>Sum</tr><tr><td rowspan=2>2024<td>Q1<td>1</tr>\
                    <tr><td>Q2<td>2</tr><tr><td colspan=2>total<td>3|4</tr></table>";
        assert_eq!(
            markdown(page),
            "Sales\n\n| Year | Quarter | Sum |\n| --- | --- | --- |\n| 2024 | Q1 | 1 |\n| 2024 | Q2 | 2 |\n| total |  | 3\\|4 |"
        );
    }

    #[test]
    fn a_table_without_headings_is_a_table_and_a_layout_table_is_not() {
        assert_eq!(
            markdown("<table><tr><td>a<br>b<td>1</tr><tr><td>c<td>2</tr></table>"),
            "| a<br>b | 1 |\n| --- | --- |\n| c | 2 |"
        );
        let page =
            "<table><tr><td>menu</td><td><table><tr><th>x<th>y</tr><tr><td>1<td>2</tr></table></td></tr></table>";
        assert_eq!(markdown(page), "menu\n\n| x | y |\n| --- | --- |\n| 1 | 2 |");
        assert_eq!(
            markdown("<table><tr><td>one</tr><tr><td>two</tr></table>"),
            "one\n\ntwo"
        );
    }

    #[test]
    fn huge_spans_and_deep_nesting_are_bounded() {
        let spans = "<tr><td rowspan=65534 colspan=1000>x</td></tr>".repeat(200);
        let text = markdown(&format!("<table>{spans}</table>"));
        assert!(text.len() < 1_000_000, "{}", text.len());
        for tag in ["div", "b", "table><tr><td", "ul><li", "blockquote", "span"] {
            let nested = |depth: usize| format!("<p>start</p>{}deep</p>", format!("<{tag}>").repeat(depth));
            let text = to_markdown(nested(120).as_bytes(), None, None);
            assert!(text.markdown.contains("deep") && !text.truncated, "{tag}");
            let text = to_markdown(nested(100_000).as_bytes(), None, None);
            assert!(text.markdown.starts_with("start") && text.truncated, "{tag}");
        }
        // The parser opens all 400 font elements again in each paragraph.
        let fonts: Vec<_> = (0..400).map(|number| format!("<font size={number}>")).collect();
        let page = format!("<p>start{}</p>{}", fonts.concat(), "<p>x".repeat(100_000));
        let text = to_markdown(page.as_bytes(), None, None);
        assert!(text.markdown.starts_with("start") && text.truncated);
    }

    #[test]
    fn the_charset_of_the_source_and_of_the_page_count() {
        assert_eq!(
            to_markdown(b"<p>\xcf\xf0\xe8", Some("windows-1251"), None).markdown,
            "При"
        );
        assert_eq!(
            to_markdown(b"<meta charset=windows-1251><p>\xcf\xf0\xe8", None, None).markdown,
            "При"
        );
        assert_eq!(to_markdown(b"\xff\xfe<\0p\0>\0a\0", None, None).markdown, "a");
        assert_eq!(markdown(""), "");
    }
}
