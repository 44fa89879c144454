//! Writes an HTML table as a Markdown table.
//!
//! A cell with a rowspan or a colspan fills several rows or columns, so that every cell stays under its heading. A
//! layout table, which has only one column or contains another table, becomes paragraphs.

use std::{collections::HashMap, rc::Rc};

use htmd::{
    Element,
    element_handler::{HandlerResult, Handlers},
};
use markup5ever_rcdom::Node;

use super::page::{attribute, name_of};
use crate::markdown;

/// Maximum number of columns; further cells are left out.
const MAX_COLUMNS: usize = 1000;
/// Maximum number of rows that a cell spans.
const MAX_SPAN: usize = 1000;
/// Maximum number of cells of a table, including empty cells. Further rows are left out.
const MAX_CELLS: usize = 100_000;
/// Maximum size of a text that is repeated in each row that its cell spans. A longer text appears once.
const MAX_REPEATED_BYTES: usize = 200;

/// Writes a table element.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the signature of a handler"
)]
pub fn write(handlers: &dyn Handlers, element: Element) -> Option<HandlerResult> {
    let (captions, rows) = parts(element.node);
    let cells: Vec<Vec<Rc<Node>>> = rows.iter().map(cells).collect();
    let is_layout = cells.iter().all(|row| row.len() < 2) || cells.iter().flatten().any(holds_table);
    let mut text = String::from("\n\n");
    if is_layout {
        for node in captions.iter().chain(cells.iter().flatten()) {
            let content = handlers.walk_children(node).content;
            text.push_str(content.trim_matches('\n'));
            text.push_str("\n\n");
        }
        return Some(text.into());
    }
    for caption in captions {
        text.push_str(handlers.walk_children(&caption).content.trim());
        text.push_str("\n\n");
    }
    text.push_str(&markdown::table(&grid(handlers, &cells)));
    text.push('\n');
    Some(text.into())
}

/// Returns the captions and the rows of a table, without those of nested tables.
fn parts(table: &Node) -> (Vec<Rc<Node>>, Vec<Rc<Node>>) {
    let (mut captions, mut rows) = (Vec::new(), Vec::new());
    for child in table.children.borrow().iter() {
        match name_of(child) {
            Some("caption") => captions.push(Rc::clone(child)),
            Some("tr") => rows.push(Rc::clone(child)),
            Some("thead" | "tbody" | "tfoot") => {
                let inner = child.children.borrow();
                rows.extend(inner.iter().filter(|row| name_of(row) == Some("tr")).cloned());
            }
            _ => {}
        }
    }
    (captions, rows)
}

fn cells(row: &Rc<Node>) -> Vec<Rc<Node>> {
    let children = row.children.borrow();
    let cells = children
        .iter()
        .filter(|child| matches!(name_of(child), Some("td" | "th")));
    cells.cloned().collect()
}

fn holds_table(cell: &Rc<Node>) -> bool {
    let mut stack: Vec<Rc<Node>> = cell.children.borrow().clone();
    while let Some(node) = stack.pop() {
        if name_of(&node) == Some("table") {
            return true;
        }
        stack.extend(node.children.borrow().iter().cloned());
    }
    false
}

fn grid(handlers: &dyn Handlers, cells: &[Vec<Rc<Node>>]) -> Vec<Vec<String>> {
    let mut grid: Vec<Vec<String>> = Vec::new();
    // Maps each column that a cell of an earlier row still fills to the number of rows left and the text.
    let mut spanning: HashMap<usize, (usize, String)> = HashMap::new();
    let mut count = 0;
    for row in cells {
        let mut line: Vec<String> = Vec::new();
        for cell in row {
            fill(&mut line, &mut spanning);
            if line.len() >= MAX_COLUMNS {
                break;
            }
            let text = handlers.walk_children(cell).content;
            let text = text.trim().to_owned();
            let columns = span(cell, "colspan").min(MAX_COLUMNS - line.len());
            let rows = span(cell, "rowspan");
            for column in 0..columns {
                let text = if column == 0 { text.clone() } else { String::new() };
                if rows > 1 {
                    let repeated = if text.len() <= MAX_REPEATED_BYTES {
                        text.clone()
                    } else {
                        String::new()
                    };
                    spanning.insert(line.len(), (rows - 1, repeated));
                }
                line.push(text);
            }
        }
        let end = spanning.keys().max().map_or(0, |last| last + 1);
        while line.len() < end {
            fill(&mut line, &mut spanning);
            if line.len() < end {
                line.push(String::new());
            }
        }
        count += line.len();
        if count > MAX_CELLS {
            break;
        }
        grid.push(line);
    }
    grid
}

/// As long as a cell of an earlier row fills the next column, adds the text of this cell to the line.
fn fill(line: &mut Vec<String>, spanning: &mut HashMap<usize, (usize, String)>) {
    while let Some((rows, text)) = spanning.get_mut(&line.len()) {
        *rows -= 1;
        let is_last = *rows == 0;
        let text = text.clone();
        if is_last {
            spanning.remove(&line.len());
        }
        line.push(text);
    }
}

fn span(cell: &Node, name: &str) -> usize {
    let value = attribute(cell, name).and_then(|value| value.trim().parse::<usize>().ok());
    // A rowspan of 0 means all further rows.
    match value {
        Some(0) if name == "rowspan" => MAX_SPAN,
        Some(number) => number.clamp(1, MAX_SPAN),
        None => 1,
    }
}
