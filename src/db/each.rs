//! Writes that are repeated for several rows. On PostgreSQL, one statement writes up to 16 rows, so that a batch takes few
//! round trips and holds its locks only briefly.

use sea_orm::{DbBackend, Statement, Value};

use super::statement::padded;

/// Permitted numbers of rows in one PostgreSQL statement. With more rows, the planner may read a whole index instead of
/// searching it for each row.
const SIZES: [usize; 3] = [1, 4, 16];

/// A write that is repeated for each row. The PostgreSQL statement must ignore repeated rows, because [`padded`] repeats
/// the last one.
#[derive(Clone, Copy, Debug)]
pub struct ForEach {
    /// The write of one row, for SQLite.
    pub one: &'static str,
    /// The PostgreSQL statement up to the list of rows, such as `INSERT INTO … VALUES`.
    pub before: &'static str,
    /// PostgreSQL types of a row's values.
    pub types: &'static [&'static str],
    /// The PostgreSQL statement after the list of rows.
    pub after: &'static str,
}

impl ForEach {
    pub(super) fn for_postgres(self, rows: &[Vec<Value>]) -> impl Iterator<Item = Statement> {
        rows.chunks(SIZES[SIZES.len() - 1]).map(move |rows| {
            let rows: Vec<&Vec<Value>> = padded(rows, &SIZES).collect();
            let text = format!("{} {} {}", self.before, self.places(rows.len()), self.after);
            let values = rows.into_iter().flatten().cloned();
            Statement::from_sql_and_values(DbBackend::Postgres, text, values)
        })
    }

    /// Returns the parameters of the rows. The casts of the first row determine the types of a list in FROM.
    fn places(self, rows: usize) -> String {
        let width = self.types.len();
        let row = |row: usize| {
            let places: Vec<String> = (0..width)
                .map(|column| {
                    let place = row * width + column + 1;
                    if row == 0 {
                        format!("${place}::{}", self.types[column])
                    } else {
                        format!("${place}")
                    }
                })
                .collect();
            format!("({})", places.join(","))
        };
        (0..rows).map(row).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_statements_and_the_last_row_is_repeated() {
        let each = ForEach {
            one: "",
            before: "INSERT INTO a VALUES",
            types: &["uuid", "integer"],
            after: "ON CONFLICT DO NOTHING",
        };
        let rows =
            |count: i32| -> Vec<Vec<Value>> { (0..count).map(|row| vec![row.into(), (row * 10).into()]).collect() };
        let statements: Vec<_> = each.for_postgres(&rows(2)).collect();
        assert_eq!(
            statements[0].sql,
            "INSERT INTO a VALUES ($1::uuid,$2::integer),($3,$4),($5,$6),($7,$8) ON CONFLICT DO NOTHING"
        );
        let values = statements[0].values.clone().map(|values| values.0);
        assert_eq!(values, Some([0, 0, 1, 10, 1, 10, 1, 10].map(Value::from).to_vec()));
        let lengths = |count: i32| -> Vec<_> {
            let rows = rows(count);
            each.for_postgres(&rows)
                .map(|each| each.values.map_or(0, |values| values.0.len() / 2))
                .collect()
        };
        assert_eq!(lengths(0), Vec::<usize>::new());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(18), [16, 4]);
    }
}
