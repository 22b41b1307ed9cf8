//! Medians, slopes, quantiles: what becomes of many measurements.

use hdrhistogram::Histogram;

use loadtest::failure::Failure;

/// Longest time told apart, in µs: a minute.
const MOST: u64 = 60_000_000;

/// The middle one, or the mean of the middle two; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The smallest and the largest; `None` of nothing.
#[must_use]
pub fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

/// For times in µs.
///
/// # Errors
/// Never with the bounds of this module.
pub fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, MOST, 3)?)
}

/// The 99th percentile of times in µs.
///
/// # Errors
/// Too few were measured for it to mean anything.
pub fn p99(times: &Histogram<u64>) -> Result<f64, Failure> {
    const LEAST: u64 = 20;
    if times.len() < LEAST {
        return Err(Failure(format!("{} measurements are too few for a 99th percentile", times.len())));
    }
    Ok(times.value_at_quantile(0.99) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 100.0, 2.0]), Some(3.0));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_spread_has_both_ends() {
        assert_eq!(spread(&[2.0, -1.0, 5.0]), Some((-1.0, 5.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn few_measurements_have_no_99th_percentile() {
        let mut times = histogram().unwrap_or_else(|failure| panic!("{}", failure.0));
        (1..20).for_each(|at| times.saturating_record(at));
        assert!(p99(&times).is_err());
        (20..=1_000).for_each(|at| times.saturating_record(at));
        assert!(p99(&times).is_ok_and(|p99| (989.0..=991.0).contains(&p99)));
    }
}
