//! Helpers with which the migrations define columns, tables and indexes. Released migrations use these helpers, so
//! a change of a helper must not change the schema that a migration creates.

use sea_orm_migration::prelude::*;

/// Returns the column `id`: a UUID that has no default and is the primary key of its table.
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

/// Returns an index that contains all rows and allows duplicates. The calling function adds a condition or uniqueness.
pub fn index(name: &'static str, on: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(on);
    for column in columns {
        index.col(*column);
    }
    index
}
