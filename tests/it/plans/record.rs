//! Records the text of every statement that a server in this process prepares. The database layer logs each statement
//! with the target `runyard::sql`.

use std::{
    collections::HashMap,
    fmt::Debug,
    mem,
    sync::{LazyLock, Mutex, Once},
};

use sea_orm::DbBackend;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
};

static NOTED: LazyLock<Mutex<HashMap<Shape, Noted>>> = LazyLock::new(Mutex::default);

/// Name prefix of tables that only tests create. Statements on these tables are not recorded.
const TEST_TABLES: &str = " test_";

/// The kind of database, and the SQL text without the lengths of its value lists.
type Shape = (&'static str, String);

struct Noted {
    sql: String,
    explained: bool,
}

pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let only = Targets::new().with_target("runyard::sql", LevelFilter::TRACE);
        let notes = tracing_subscriber::registry().with(Notes.with_filter(only));
        tracing::subscriber::set_global_default(notes).expect("the notes are the only subscriber of the process");
    });
}

pub fn noted(backend: DbBackend) -> Vec<String> {
    let noted = NOTED.lock().unwrap();
    let of_backend = noted.iter().filter(|((name, _), _)| *name == name_of(backend));
    of_backend.map(|(_, noted)| noted.sql.clone()).collect()
}

/// Returns the statements that are new since the last call, and marks them as explained.
pub fn take(backend: DbBackend) -> Vec<String> {
    let mut noted = NOTED.lock().unwrap();
    let of_backend = noted.iter_mut().filter(|((name, _), _)| *name == name_of(backend));
    of_backend
        .filter_map(|(_, noted)| (!mem::replace(&mut noted.explained, true)).then(|| noted.sql.clone()))
        .collect()
}

fn name_of(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "postgres",
        _ => "sqlite",
    }
}

struct Notes;

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.sql.contains(TEST_TABLES) {
            return;
        }
        let backend = if fields.database == "postgres" {
            "postgres"
        } else {
            "sqlite"
        };
        let shape = (backend, shape(&fields.sql));
        NOTED.lock().unwrap().entry(shape).or_insert(Noted {
            sql: fields.sql,
            explained: false,
        });
    }
}

#[derive(Default)]
struct Fields {
    database: String,
    sql: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "database" => value.clone_into(&mut self.database),
            "sql" => value.clone_into(&mut self.sql),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Normalizes value lists, so that a statement with three ids and the same statement with four ids count as one.
fn shape(sql: &str) -> String {
    // Removes only the numbers of placeholders. Different literals stay, because they may need different indexes.
    let mut after_dollar = false;
    let is_kept = |char: &char| {
        after_dollar = *char == '$' || (after_dollar && char.is_ascii_digit());
        !after_dollar || *char == '$'
    };
    let mut shape: String = sql.chars().filter(is_kept).collect();
    for (long, short) in [
        ("?, ?", "?"),
        ("$, $", "$"),
        ("?,?", "?"),
        ("$,$", "$"),
        ("(?),(?)", "(?)"),
        ("(?), (?)", "(?)"),
        ("($),($)", "($)"),
        ("($), ($)", "($)"),
    ] {
        while shape.contains(long) {
            shape = shape.replace(long, short);
        }
    }
    shape
}
