//! Reads the comments of the proto files, which become the descriptions in the `OpenAPI` document.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};
use serde_json::{Map, Value};

#[derive(Debug)]
pub(super) struct Comments {
    by_place: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    pub fn of(pool: &DescriptorPool) -> Self {
        let mut by_place = HashMap::new();
        for file in pool.files() {
            let info = file
                .file_descriptor_proto()
                .source_code_info
                .clone()
                .unwrap_or_default();
            for location in info.location {
                let text = tidy(location.leading_comments());
                if !text.is_empty() {
                    by_place.insert((file.name().to_owned(), location.path), text);
                }
            }
        }
        Self { by_place }
    }

    /// Returns the comment of an item; empty if it has none. `path` is the item's path in `SourceCodeInfo`.
    pub fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.by_place
            .get(&(file.name().to_owned(), path.to_vec()))
            .map_or("", String::as_str)
    }

    pub fn describe(&self, file: &FileDescriptor, path: &[i32], schema: &mut Map<String, Value>) {
        let text = self.at(file, path);
        if !text.is_empty() {
            schema.insert("description".to_owned(), text.into());
        }
    }
}

/// Joins the lines of each paragraph into one line.
fn tidy(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join(" ")
    });
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}
