//! Parses a page like a browser, within limits.
//!
//! The standard requires a browser to repair pages in ways that can take quadratic time and create many elements from
//! few bytes. The parser therefore gets the page in small chunks. After each chunk, it stops if the page is too deep,
//! has too many nodes or takes too long. The nodes created so far are the page.

use std::{
    borrow::Cow,
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use html5ever::{
    Attribute, ExpandedName, ParseOpts, QualName, parse_document,
    tendril::{StrTendril, TendrilSink as _},
    tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink},
};
use markup5ever_rcdom::{Handle, Node, RcDom};

const CHUNK_BYTES: usize = 1024;
/// Maximum number of open elements after a chunk. Browsers also have such a limit (512 in Blink and Gecko).
const MAX_OPEN: usize = 512;
/// Maximum number of nodes and attributes; a node has about 200 bytes.
const MAX_NODES: usize = 500_000;
const MAX_TIME: Duration = Duration::from_secs(5);

/// Returns the document, and whether a limit cut it.
pub fn parse(html: &str) -> (Rc<Node>, bool) {
    let until = Instant::now() + MAX_TIME;
    let mut parser = parse_document(Bounded::default(), ParseOpts::default());
    let mut rest = html;
    let mut is_cut = false;
    while !rest.is_empty() && !is_cut {
        let (chunk, behind) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES));
        parser.process(StrTendril::from_slice(chunk));
        rest = behind;
        let sink = &parser.tokenizer.sink.sink;
        is_cut = sink.nodes.get() > MAX_NODES || open_elements(&sink.dom.document) > MAX_OPEN || Instant::now() > until;
    }
    let is_cut = is_cut && !rest.is_empty();
    (parser.finish(), is_cut)
}

/// Counts the elements on the path to the last node. The parser appends to the innermost open element.
fn open_elements(document: &Rc<Node>) -> usize {
    let mut count = 0;
    let mut node = Rc::clone(document);
    loop {
        let last = node.children.borrow().last().cloned();
        let Some(last) = last else { return count };
        node = last;
        count += 1;
    }
}

/// Builds the tree and counts its nodes.
#[derive(Default)]
struct Bounded {
    dom: RcDom,
    nodes: Cell<usize>,
}

impl Bounded {
    fn count(&self, nodes: usize) {
        self.nodes.set(self.nodes.get() + nodes);
    }
}

impl TreeSink for Bounded {
    type Handle = Handle;
    type Output = Rc<Node>;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Rc<Node> {
        self.dom.document
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.dom.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        self.dom.elem_name(target)
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        self.count(1 + attributes.len());
        self.dom.create_element(name, attributes, flags)
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        self.count(1);
        self.dom.create_comment(StrTendril::new())
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> Handle {
        self.count(1);
        self.dom.create_pi(target, data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.dom.append(parent, child);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        self.dom.append_based_on_parent_node(element, previous, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.dom.append_doctype_to_document(name, public_id, system_id);
    }

    fn get_template_contents(&self, target: &Handle) -> Handle {
        self.dom.get_template_contents(target)
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        self.dom.same_node(one, other)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.dom.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &Handle, node: NodeOrText<Handle>) {
        self.dom.append_before_sibling(sibling, node);
    }

    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        self.count(attributes.len());
        self.dom.add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.dom.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &Handle, parent: &Handle) {
        self.dom.reparent_children(node, parent);
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        self.dom.is_mathml_annotation_xml_integration_point(handle)
    }
}
