//! Tests of units of work. A batch is a group of units that share one commit. A failed unit leaves nothing behind and
//! does not affect the other units of its batch. One unit can mix [`Sql`] and SeaORM statements.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::join_all};
use runyard::{
    db::{Bound, Cell, Db, Row, Rows, Sql, Tx},
    error::{Code, Error, Result},
};
use runyard_upstream::Turn;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::test_server::{Database, TestServer, on_every_database};

const INSERT: Sql = Sql::new("INSERT INTO test_units (id, note) VALUES ($1, $2)");
const NUMBERS: Sql = Sql::new("SELECT id FROM test_units ORDER BY id");

fn insertion(number: i32) -> Bound {
    INSERT.with([number.into(), format!("unit {number}").into()])
}

fn first<T: Cell>(row: &mut Row<'_>) -> std::result::Result<T, DbErr> {
    row.take()
}

async fn make_table(db: &Db) {
    let tx = db.begin("test").await.unwrap();
    tx.execute_unprepared("CREATE TABLE test_units (id INTEGER PRIMARY KEY, note TEXT)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn numbers(db: &Db) -> Vec<i32> {
    let read = db.write("test.read", |tx| {
        async { Ok(tx.rows(NUMBERS.with([]), first).await?) }.boxed()
    });
    read.await.unwrap()
}

/// Inserts a row. Then fails if the last digit of `number` is 3, and panics if it is 7.
async fn insert_or_fail(tx: &Tx, number: i32) -> Result<i32> {
    tx.change(insertion(number)).await?;
    match number % 10 {
        3 => Err(Error::new(Code::Contended, format!("unit {number} fails"))),
        7 => panic!("unit {number} panics"),
        _ => Ok(number),
    }
}

#[tokio::test]
async fn a_failed_unit_leaves_nothing_and_the_other_units_stay() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let db = &server.app().db;
            make_table(db).await;
            let units = (0..50).map(|number| {
                db.write("test.unit", move |tx| {
                    async move { insert_or_fail(tx, number).await }.boxed()
                })
            });
            let results = join_all(units).await;
            let mut expected = Vec::new();
            for (number, result) in (0..).zip(results) {
                match number % 10 {
                    3 => assert_eq!(result.unwrap_err().message(), format!("unit {number} fails")),
                    7 => assert_eq!(result.unwrap_err().code(), Code::Internal),
                    _ => {
                        assert_eq!(result.unwrap(), number);
                        expected.push(number);
                    }
                }
            }
            assert_eq!(numbers(db).await, expected);
        },
    )
    .await;
}

#[tokio::test]
async fn units_and_borrowed_transactions_share_batches() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let db = &server.app().db;
            make_table(db).await;
            let work = (0..60).map(|number| async move {
                if number % 2 == 0 {
                    let unit = db.write("test.unit", move |tx| {
                        async move { insert_or_fail(tx, number + 100).await }.boxed()
                    });
                    unit.await.is_ok()
                } else {
                    let tx = db.begin("test.borrowed").await.unwrap();
                    tx.change(insertion(number)).await.unwrap();
                    // Every third transaction is dropped without a commit.
                    number % 3 != 0 && tx.commit().await.is_ok()
                }
            });
            let kept: Vec<bool> = join_all(work).await;
            let mut expected: Vec<i32> = (0..60)
                .zip(kept)
                .filter(|(_, kept)| *kept)
                .map(|(number, _)| if number % 2 == 0 { number + 100 } else { number })
                .collect();
            expected.sort_unstable();
            assert!(expected.len() > 30, "most units succeed");
            assert_eq!(numbers(db).await, expected);
        },
    )
    .await;
}

#[tokio::test]
async fn statements_of_both_kinds_see_each_other_in_one_unit() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let db = &server.app().db;
            make_table(db).await;
            let mixed = |tx: &Tx| {
                let backend = tx.get_database_backend();
                Statement::from_string(backend, "INSERT INTO test_units (id, note) VALUES (2, 'two')")
            };
            let unit = db.write("test.mixed", move |tx| {
                async move {
                    tx.change(insertion(1)).await?;
                    assert_eq!(tx.execute_raw(mixed(tx)).await?.rows_affected(), 1);
                    tx.change(insertion(3)).await?;
                    let count =
                        Statement::from_string(tx.get_database_backend(), "SELECT COUNT(*) AS n FROM test_units");
                    let row = tx.query_one_raw(count).await?.unwrap();
                    Ok(row.try_get::<i64>("", "n")?)
                }
                .boxed()
            });
            assert_eq!(unit.await.unwrap(), 3);
            let duplicate = db.write("test.duplicate", |tx| {
                async { Ok(tx.change(insertion(1)).await?) }.boxed()
            });
            assert_eq!(duplicate.await.unwrap_err().code(), Code::Internal);
            assert_eq!(numbers(db).await, [1, 2, 3]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_cancelled_statement_does_not_disturb_the_next_unit() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let db = &server.app().db;
            make_table(db).await;
            for number in 0..5 {
                let tx = db.begin("test.cancelled").await.unwrap();
                tx.change(insertion(number)).await.unwrap();
                let slow = "WITH RECURSIVE test_n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM test_n WHERE v < 1000000) \
                            SELECT COUNT(*) AS n FROM test_n";
                let slow = Statement::from_string(tx.get_database_backend(), slow);
                let cancelled = tokio::time::timeout(Duration::from_millis(1), tx.query_one_raw(slow)).await;
                drop(tx);
                assert!(cancelled.is_err(), "the query should take longer");
                let next = db.write("test.next", move |tx| {
                    async move { Ok(tx.change(insertion(number + 100)).await?) }.boxed()
                });
                assert_eq!(next.await.unwrap(), 1);
            }
            assert_eq!(numbers(db).await, [100, 101, 102, 103, 104]);
        },
    )
    .await;
}

/// After some errors, SQLite itself ends the transaction of a batch. No unit of this batch may then be reported as
/// committed.
#[tokio::test]
async fn a_unit_is_not_reported_as_committed_if_its_transaction_was_ended() {
    let server = TestServer::open(&Database::Sqlite, Turn::text("x"), |_| {}).await;
    let db = &server.app().db;
    make_table(db).await;
    let units = (0..40).map(|number| {
        db.write("test.unit", move |tx| {
            async move {
                if number == 20 {
                    tx.execute_unprepared("ROLLBACK").await?;
                } else {
                    tx.change(insertion(number)).await?;
                }
                Ok(number)
            }
            .boxed()
        })
    });
    let committed: Vec<i32> = join_all(units).await.into_iter().flatten().collect();
    assert!(!committed.contains(&20), "the unit has ended its own transaction");
    assert_eq!(numbers(db).await, committed);
    let next = db.write("test.next", |tx| async { Ok(tx.change(insertion(100)).await?) }.boxed());
    assert_eq!(next.await.unwrap(), 1, "the next batch is not affected");
}

/// An `Sql` statement and a SeaORM statement must store a value in the same form, because SQL conditions compare the
/// stored forms.
#[tokio::test]
async fn both_kinds_of_statements_store_the_same_values() {
    let server = TestServer::open(&Database::Sqlite, Turn::text("x"), |_| {}).await;
    let db = &server.app().db;
    let at = |micros| DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
    let values: Vec<Value> = vec![
        true.into(),
        7_i16.into(),
        (-7_i32).into(),
        i64::MAX.into(),
        1.5_f64.into(),
        "text 'quoted'".into(),
        vec![0_u8, 255].into(),
        Uuid::from_u128(42).into(),
        at(1_700_000_000_000_000).into(),
        at(1_700_000_000_120_000).into(),
        at(1_700_000_000_123_456).into(),
        json!({"a": [1, "b"]}).into(),
        None::<String>.into(),
        None::<DateTime<Utc>>.into(),
    ];
    let columns: Vec<String> = (0..values.len()).map(|column| format!("c{column}")).collect();
    let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
    let insert = format!("INSERT INTO test_mirror VALUES ({})", places.join(", "));
    let tx = db.begin("test").await.unwrap();
    tx.execute_unprepared(&format!("CREATE TABLE test_mirror ({})", columns.join(", ")))
        .await
        .unwrap();
    let by_orm = Statement::from_sql_and_values(DbBackend::Sqlite, insert.clone(), values.clone());
    tx.execute_raw(by_orm).await.unwrap();
    tx.change(Sql::new(insert.leak()).with(values)).await.unwrap();
    let quoted: Vec<String> = columns
        .iter()
        .map(|column| format!("typeof({column}) || quote({column})"))
        .collect();
    let query = format!("SELECT {} FROM test_mirror", quoted.join(" || ' ' || "));
    let rows = tx.rows(Sql::new(query.leak()).with([]), first::<String>);
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], rows[1]);
}
