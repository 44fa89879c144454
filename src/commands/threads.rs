//! `runyard threads`: lists, shows and deletes threads.

use clap::{Args, Subcommand};

use super::{
    Outcome,
    listing::{Printer, Rows, table, time},
    output::{clean, cut, one_line, remark},
    settings::Settings,
};
use runyard_client::Client;

use crate::{
    error::Result,
    v1::{ListMessagesRequest, ListThreadsRequest, Message, MessageRole, Thread},
};

/// List, show and delete threads.
#[derive(Args, Debug)]
pub(super) struct Threads {
    #[command(flatten)]
    rows: Rows,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List your threads, the last changed first.
    List {
        /// Only threads of this project.
        #[arg(long, value_name = "ID", default_value = "")]
        project: String,
        /// Only threads whose name, or one of whose messages, contains all of these words.
        #[arg(long, value_name = "WORDS", default_value = "")]
        search: String,
        /// Maximum number of lines.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show a thread.
    Show {
        /// Id of the thread.
        thread_id: String,
    },
    /// Print the messages of a thread, oldest first.
    Messages {
        /// Id of the thread.
        thread_id: String,
        /// Maximum number of messages.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Delete a thread with its messages and runs.
    Delete {
        /// Id of the thread.
        thread_id: String,
    },
}

impl Threads {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        self.rows
            .print(settings, async |client, printer| {
                act(client, self.action, printer).await
            })
            .await
    }
}

async fn act(client: &Client, action: Action, printer: &mut Printer) -> Result<()> {
    match action {
        Action::List { project, search, limit } => {
            let load = async |page_size, page_token| {
                let request = ListThreadsRequest {
                    project_id: project.clone(),
                    page_size,
                    page_token,
                    search: search.clone(),
                };
                let page = client.list_threads(request).await?;
                Ok((page.threads, page.next_page_token))
            };
            printer.pages(limit, "there are no such threads", summary, load).await
        }
        Action::Show { thread_id } => printer.print(&client.load_thread(&thread_id).await?, details),
        Action::Messages { thread_id, limit } => {
            let load = async |page_size, page_token| {
                let request = ListMessagesRequest {
                    thread_id: thread_id.clone(),
                    page_size,
                    page_token,
                };
                let page = client.list_messages(request).await?;
                Ok((page.messages, page.next_page_token))
            };
            printer.pages(limit, "the thread has no messages", message, load).await
        }
        Action::Delete { thread_id } => {
            client.delete_thread(&thread_id).await?;
            remark(&format!("deleted thread {}", one_line(&thread_id)));
            Ok(())
        }
    }
}

fn summary(thread: &Thread) -> String {
    let name = cut(&one_line(&thread.name), 60);
    let line = format!("{}  {}  {name}", thread.thread_id, time(thread.updated_at));
    let Some(found) = &thread.search_match else {
        return line.trim_end().to_owned();
    };
    let text: String = found.parts.iter().map(|part| part.text.as_str()).collect();
    format!("{}\n    {}", line.trim_end(), one_line(&text))
}

fn details(thread: &Thread) -> String {
    table(&[
        ("id", &thread.thread_id),
        ("name", &thread.name),
        ("project", &thread.project_id),
        ("created", &time(thread.created_at)),
        ("updated", &time(thread.updated_at)),
    ])
}

fn message(message: &Message) -> String {
    let role = match message.role() {
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::Tool => "tool",
        MessageRole::Unspecified => "message",
    };
    let calls: Vec<_> = message.tool_calls.iter().map(|call| one_line(&call.name)).collect();
    let calls = if calls.is_empty() {
        String::new()
    } else {
        format!(" [calls {}]", calls.join(", "))
    };
    format!("{role}: {}{calls}", clean(&message.content))
}
