//! The assignment problem against all permutations.

use medina::city::dispatch::horizon::assign::assign;
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
}
