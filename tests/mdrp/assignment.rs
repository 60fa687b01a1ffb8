//! The assignment problem against all permutations.

use medina::city::dispatch::horizon::assign::{assign, assign_sparse};
use proptest::prelude::*;

/// The least sum, by trying everything.
fn brute(costs: &[Vec<i64>], row: usize, taken: &mut Vec<bool>) -> i64 {
    let Some(prices) = costs.get(row) else { return 0 };
    let mut best = i64::MAX;
    for (column, price) in prices.iter().enumerate() {
        if !taken[column] {
            taken[column] = true;
            best = best.min(price.saturating_add(brute(costs, row + 1, taken)));
            taken[column] = false;
        }
    }
    best
}

proptest! {
    /// Every row has a column of its own, and no other choice is cheaper.
    #[test]
    fn it_is_the_cheapest(rows in 0..6_usize, more in 0..3_usize, prices in proptest::collection::vec(-50..50_i64, 64)) {
        let columns = rows + more;
        let costs: Vec<Vec<i64>> = (0..rows).map(|row| prices[row * columns..(row + 1) * columns].to_vec()).collect();
        let answer = assign(rows, columns, |row, column| costs[row][column]);
        let mut once = answer.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), rows);
        let sum: i64 = answer.iter().enumerate().map(|(row, column)| costs[row][*column]).sum();
        prop_assert_eq!(sum, brute(&costs, 0, &mut vec![false; columns]));
    }

    /// Where rows know few columns: the same least sum, or nobody can be served and it says so.
    #[test]
    fn few_columns_are_enough(rows in 0..6_usize, more in 0..3_usize, prices in proptest::collection::vec(proptest::option::of(-50..50_i64), 64)) {
        const NEVER: i64 = 1_000_000;
        let columns = rows + more;
        let of_row = |row: usize| prices[row * columns..(row + 1) * columns].iter().enumerate();
        let known: Vec<Vec<(usize, i64)>> = (0..rows).map(|row| of_row(row).filter_map(|(column, price)| Some((column, (*price)?))).collect()).collect();
        let costs: Vec<Vec<i64>> = (0..rows).map(|row| of_row(row).map(|(_, price)| price.unwrap_or(NEVER)).collect()).collect();
        let least = brute(&costs, 0, &mut vec![false; columns]);
        let Some(answer) = assign_sparse(columns, &known) else {
            prop_assert!(least >= NEVER / 2, "it could have been done for {}", least);
            return Ok(());
        };
        let mut once = answer.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), rows);
        let price = |(row, column): (usize, &usize)| known[row].iter().find(|(known, _)| known == column).map(|(_, price)| *price);
        let sum: Option<i64> = answer.iter().enumerate().map(price).sum();
        prop_assert_eq!(sum, Some(least), "only known columns, and no other choice is cheaper");
    }
}
