//! Adds `agents.search_text`: name and description in lower case. Rust code converts the text, because SQL's `lower`
//! handles only ASCII on SQLite and depends on the locale on PostgreSQL.

use sea_orm_migration::{
    prelude::*,
    schema::text,
    sea_orm::{Statement, prelude::Uuid},
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut column = text("search_text");
        column.default("");
        let mut agents = Table::alter();
        agents.table("agents").add_column(column);
        manager.alter_table(agents).await?;

        let db = manager.get_connection();
        let backend = db.get_database_backend();
        let all = "SELECT id, name, description FROM agents";
        for row in db.query_all_raw(Statement::from_string(backend, all)).await? {
            let id: Uuid = row.try_get("", "id")?;
            let name: String = row.try_get("", "name")?;
            let description: Option<String> = row.try_get("", "description")?;
            let folded = format!("{name}\n{}", description.unwrap_or_default()).to_lowercase();
            let write = "UPDATE agents SET search_text = $1 WHERE id = $2";
            db.execute_raw(Statement::from_sql_and_values(
                backend,
                write,
                [folded.into(), id.into()],
            ))
            .await?;
        }
        Ok(())
    }
}
