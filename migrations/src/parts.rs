//! Helpers that define columns, tables and indexes. Released migrations use them, so their result must not change.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Returns the primary key `id`: a UUID without a default.
pub fn id() -> ColumnDef {
    let mut column = ColumnDef::new("id");
    column.uuid().not_null().primary_key();
    column
}

pub fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    table
}

/// Returns a table for rows that are found by their primary key. On SQLite, the rows are stored in the B-tree of the key
/// (WITHOUT ROWID), so an insertion changes one B-tree instead of two.
/// Rows of more than 1,000 bytes are slower in such a table.
pub fn keyed_table(manager: &SchemaManager<'_>, name: &'static str) -> TableCreateStatement {
    let mut table = table(name);
    if manager.get_database_backend() == DbBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    table
}

/// Returns an index over all rows that allows duplicates. The caller may add a condition or uniqueness.
pub fn index(name: &'static str, on: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(on);
    for column in columns {
        index.col(*column);
    }
    index
}
