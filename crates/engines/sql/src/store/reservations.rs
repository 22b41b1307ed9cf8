//! Who may issue ids under which generator number, until when.

use sqlx::Row as _;
use volery_kernel::time::Timestamp;
use volery_ports::sql::Reservation;

use super::Store;
use crate::column::{int, millis, time};

/// The compare-and-set is one statement: it changes the row if the number is free, the holder's, or
/// past its time, and its conflict clause sees what was there.
const RESERVE: &str = "
    INSERT INTO reservations AS old (number, holder, reserved_from, reserved_until) VALUES ($1, $2, 0, $3)
    ON CONFLICT (number) DO UPDATE SET
        holder = excluded.holder,
        reserved_from = CASE WHEN old.holder = excluded.holder THEN old.reserved_from ELSE old.reserved_until END,
        reserved_until = CASE
            WHEN old.holder = excluded.holder AND old.reserved_until > excluded.reserved_until THEN old.reserved_until
            ELSE excluded.reserved_until END
    WHERE old.holder = excluded.holder OR old.reserved_until <= $4
    RETURNING reserved_from, reserved_until";

pub(crate) async fn reserve(
    store: &Store,
    number: u16,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> sqlx::Result<Reservation> {
    let mut transaction = store.begin().await?;
    let held = sqlx::query(RESERVE)
        .bind(i64::from(number))
        .bind(holder)
        .bind(millis(until))
        .bind(millis(now))
        .fetch_optional(&mut *transaction)
        .await?;
    let reservation = match held {
        Some(row) => {
            Reservation::Held { from: time(row.try_get("reserved_from")?), until: time(row.try_get("reserved_until")?) }
        }
        None => Reservation::Taken {
            until: sqlx::query_scalar("SELECT reserved_until FROM reservations WHERE number = $1")
                .bind(int(number.into()))
                .fetch_one(&mut *transaction)
                .await
                .map(time)?,
        },
    };
    transaction.commit().await?;
    Ok(reservation)
}
