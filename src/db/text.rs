//! Traces SQL statements, and joins several PostgreSQL statements into one so that they take one round trip.

use sea_orm::{DbBackend, Statement, Value};
use tracing::trace;

/// Traces a statement without its values, with the tracing target `runyard::sql`.
pub(super) fn say(backend: DbBackend, sql: &str) {
    let database = match backend {
        DbBackend::Postgres => "postgres",
        _ => "sqlite",
    };
    trace!(target: "runyard::sql", database, sql);
}

/// Combines statements into one: the last statement, with the others as its common table expressions. Returns `None`
/// if there are no statements.
pub(super) fn as_one(statements: impl IntoIterator<Item = Statement>) -> Option<Statement> {
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for statement in statements {
        texts.push(renumbered(&statement.sql, values.len()));
        values.extend_from_slice(values_of(&statement));
    }
    let last = texts.pop()?;
    let before: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| format!("s{number} AS ({text})"))
        .collect();
    let sql = if before.is_empty() {
        last
    } else {
        format!("WITH {} {last}", before.join(", "))
    };
    Some(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
}

pub(super) fn values_of(statement: &Statement) -> &[Value] {
    statement.values.as_ref().map_or(&[], |values| &values.0)
}

/// Adds an offset to parameter numbers such as `$1`. No statement may contain a `$` in quotes.
fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        text.push('$');
        match number.parse::<usize>() {
            Ok(number) => text.push_str(&(number + by).to_string()),
            Err(_) => text.push_str(number),
        }
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn several_statements_become_one_with_all_their_values() {
        let statement = |sql: &str, values: &[i32]| {
            let values = values.iter().map(|value| Value::from(*value));
            Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
        };
        let one = statement("UPDATE a SET b = $1 WHERE c = $2", &[1, 2]);
        let two = statement("INSERT INTO d VALUES ($1, $2, $11)", &[3, 4, 5]);
        let joined = as_one([one.clone(), two]).unwrap();
        assert_eq!(
            joined.sql,
            "WITH s0 AS (UPDATE a SET b = $1 WHERE c = $2) INSERT INTO d VALUES ($3, $4, $13)"
        );
        assert_eq!(joined.values.unwrap().0, [1, 2, 3, 4, 5].map(Value::from));
        assert_eq!(as_one([one.clone()]).unwrap().sql, one.sql);
        assert!(as_one([]).is_none());
    }
}
