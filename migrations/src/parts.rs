//! Helpers that define columns, tables and indexes. Released migrations use them, so their result must not change.

use sea_orm_migration::prelude::*;

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

/// Returns an index over all rows that allows duplicates. The caller may add a condition or uniqueness.
pub fn index(name: &'static str, on: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(on);
    for column in columns {
        index.col(*column);
    }
    index
}
