//! Finds the title of a page, and removes the parts that a reader does not see.
//!
//! All walks are loops with their own stack, so the depth of a page cannot exhaust the thread's stack.

use std::rc::Rc;

use html5ever::{Attribute, ns};
use markup5ever_rcdom::{Node, NodeData};
use url::Url;

/// Maximum depth of elements, because the Markdown writer is recursive. Deeper elements are replaced by their text.
const MAX_DEPTH: usize = 100;
/// Elements that a reader of the page does not see.
const UNSEEN: &[&str] = &[
    "script", "style", "head", "template", "noscript", "noframes", "svg", "iframe", "object", "canvas", "datalist",
];

/// Returns the content of the first title element, on one line.
pub fn title(document: &Rc<Node>) -> Option<String> {
    let title = text_of(&[find(document, "title")?]);
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

/// Makes relative links absolute. A page can state another base than its own address. Links within the page stay.
pub fn resolve(document: &Rc<Node>, url: &Url) {
    let stated = find(document, "base").and_then(|base| url.join(&attribute(&base, "href")?).ok());
    let base = stated.as_ref().unwrap_or(url);
    let mut stack = vec![Rc::clone(document)];
    while let Some(node) = stack.pop() {
        if let NodeData::Element { attrs, .. } = &node.data {
            let mut attrs = attrs.borrow_mut();
            let links = attrs
                .iter_mut()
                .filter(|attribute| matches!(&*attribute.name.local, "src" | "href"));
            for link in links.filter(|link| !link.value.starts_with('#')) {
                if let Ok(absolute) = base.join(&link.value) {
                    link.value = String::from(absolute).into();
                }
            }
        }
        stack.extend(node.children.borrow().iter().cloned());
    }
}

/// Returns the first element with this name.
fn find(document: &Rc<Node>, name: &str) -> Option<Rc<Node>> {
    let mut stack = vec![Rc::clone(document)];
    while let Some(node) = stack.pop() {
        if name_of(&node) == Some(name) {
            return Some(node);
        }
        stack.extend(node.children.borrow().iter().rev().cloned());
    }
    None
}

/// Removes unseen elements, `data:` URLs and `javascript:` URLs. Replaces elements below [`MAX_DEPTH`] by their text.
pub fn clean(document: &Rc<Node>) {
    let mut stack = vec![(Rc::clone(document), 0)];
    while let Some((node, depth)) = stack.pop() {
        let mut children = node.children.borrow_mut();
        children.retain(|child| !is_unseen(child));
        let is_table_part = matches!(name_of(&node), Some("table" | "thead" | "tbody" | "tfoot" | "tr"));
        if depth >= MAX_DEPTH && !is_table_part {
            let text = text_of(&children);
            children.clear();
            children.push(Node::new(NodeData::Text {
                contents: std::cell::RefCell::new(text.into()),
            }));
            continue;
        }
        for child in children.iter() {
            if let NodeData::Element { attrs, .. } = &child.data {
                remove_embedded(&mut attrs.borrow_mut());
            }
            stack.push((Rc::clone(child), depth + 1));
        }
    }
}

/// Returns the name of an HTML element; `None` for other nodes, also for elements of SVG and MathML.
pub fn name_of(node: &Node) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } if name.ns == ns!(html) => Some(&name.local),
        _ => None,
    }
}

/// Returns the value of an attribute.
pub fn attribute(node: &Node, name: &str) -> Option<String> {
    let NodeData::Element { attrs, .. } = &node.data else {
        return None;
    };
    let attrs = attrs.borrow();
    let found = attrs.iter().find(|attribute| &*attribute.name.local == name)?;
    Some(found.value.to_string())
}

fn is_unseen(node: &Node) -> bool {
    let NodeData::Element { name, .. } = &node.data else {
        return matches!(
            node.data,
            NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. }
        );
    };
    if UNSEEN.contains(&&*name.local) || attribute(node, "hidden").is_some() {
        return true;
    }
    attribute(node, "style").is_some_and(|style| {
        let style: String = style.chars().filter(|letter| !letter.is_whitespace()).collect();
        let style = style.to_ascii_lowercase();
        style.contains("display:none") || style.contains("visibility:hidden")
    })
}

/// Removes `data:` and `javascript:` URLs. The text of a link stays, and so does the description of an image.
fn remove_embedded(attributes: &mut Vec<Attribute>) {
    let is_described = attributes
        .iter()
        .any(|attribute| &*attribute.name.local == "alt" && !attribute.value.trim().is_empty());
    attributes.retain_mut(|attribute| {
        if !matches!(&*attribute.name.local, "src" | "href") {
            return true;
        }
        let start: String = attribute.value.trim_start().chars().take(11).collect();
        let start = start.to_ascii_lowercase();
        if !start.starts_with("data:") && !start.starts_with("javascript:") {
            return true;
        }
        attribute.value.clear();
        is_described && &*attribute.name.local == "src"
    });
}

/// Returns the text of the nodes and of all nodes below them, with a space between text nodes.
fn text_of(nodes: &[Rc<Node>]) -> String {
    let mut text = String::new();
    let mut stack: Vec<Rc<Node>> = nodes.iter().rev().cloned().collect();
    while let Some(node) = stack.pop() {
        if let NodeData::Text { contents } = &node.data {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&contents.borrow());
        }
        let children = node.children.borrow();
        stack.extend(children.iter().rev().filter(|child| !is_unseen(child)).cloned());
    }
    text
}
