//! Lists the tools of a server, within limits.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rmcp::{
    RoleClient,
    model::{JsonObject, PaginatedRequestParams, Tool},
    service::Peer,
};

use crate::error::{Error, Result};

/// Maximum number of pages of a tool list.
const MAX_PAGES: usize = 50;
const MAX_TOOLS: usize = 1_000;
/// Maximum bytes of all names, descriptions and schemas of a server.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Maximum bytes of a description for the model.
const MAX_DESCRIPTION: usize = 8 * 1024;
/// Maximum bytes of a name.
const MAX_NAME: usize = 1_024;

/// A tool of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedTool {
    /// The server's name for the tool.
    pub name: String,
    /// Description for the model.
    pub description: String,
    /// The server's schema of the arguments. [`adapted`](crate::adapted) converts it for model providers.
    pub schema: Arc<JsonObject>,
}

impl ListedTool {
    /// Returns the bytes of the name, the description and the schema.
    pub fn size(&self) -> usize {
        // Serialization cannot fail, because all keys are strings.
        let schema = serde_json::to_string(&*self.schema).unwrap_or_default();
        self.name.len() + self.description.len() + schema.len()
    }
}

/// The tools of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolList {
    /// The tools in the server's order. Each name occurs once.
    pub tools: Vec<ListedTool>,
    /// Time for which the server permits reuse of the list, if at all.
    pub fresh_for: Option<Duration>,
    /// True if the server has more tools than the limits permit.
    pub is_cut: bool,
}

pub(crate) async fn list(peer: &Peer<RoleClient>) -> Result<ToolList> {
    let mut list = ToolList::default();
    let (mut names, mut cursors) = (BTreeSet::new(), BTreeSet::new());
    let (mut bytes, mut cursor) = (0, None);
    for page_number in 0..MAX_PAGES {
        let params = cursor
            .take()
            .map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let page = peer
            .list_tools(params)
            .await
            .map_err(|error| Error::of_service(&error))?;
        let fresh_for = page.ttl_ms.filter(|ttl| *ttl > 0).map(Duration::from_millis);
        list.fresh_for = if page_number == 0 {
            fresh_for
        } else {
            list.fresh_for.min(fresh_for)
        };
        for tool in page.tools {
            let tool = listed(&tool);
            bytes += tool.size();
            if list.tools.len() == MAX_TOOLS || bytes > MAX_BYTES {
                list.is_cut = true;
                return Ok(list);
            }
            if tool.name.len() <= MAX_NAME && names.insert(tool.name.clone()) {
                list.tools.push(tool);
            }
        }
        // A server that repeats a cursor would repeat its pages forever.
        match page.next_cursor {
            Some(next) if cursors.insert(next.clone()) => cursor = Some(next),
            _ => return Ok(list),
        }
    }
    list.is_cut = true;
    Ok(list)
}

fn listed(tool: &Tool) -> ListedTool {
    let title = tool
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.title.as_deref());
    let words = tool.description.as_deref().filter(|text| !text.trim().is_empty());
    let words = words.or(tool.title.as_deref()).or(title).unwrap_or(&tool.name);
    ListedTool {
        name: tool.name.to_string(),
        description: words[..words.floor_char_boundary(MAX_DESCRIPTION)].to_owned(),
        schema: Arc::clone(&tool.input_schema),
    }
}
