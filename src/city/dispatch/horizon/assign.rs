//! The assignment problem, exactly: every pair possible ([`assign`]), or few of them ([`assign_sparse`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const FREE: usize = usize::MAX;

/// Columns for rows so that the sum is least: `answer[row]` is the row's column. Each column serves one row at most; needs `columns ≥ rows`.
/// Deterministic: ties go to the lower column. O(rows² × columns).
///
/// Source: the shortest-augmenting-path form of the Hungarian method, Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse
/// linear assignment problems" (1987).
///
/// # Panics
/// If there are more rows than columns. Costs and their sums must stay within `i64` (below 2^60 is plenty).
#[must_use]
pub fn assign(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> i64) -> Vec<usize> {
    assert!(rows <= columns, "every row needs a column of its own");
    // Column `columns` is the root of each search.
    let mut row_of = vec![FREE; columns + 1];
    let (mut potential_row, mut potential_column) = (vec![0_i64; rows], vec![0_i64; columns + 1]);
    let mut came_from = vec![columns; columns + 1];
    for row in 0..rows {
        row_of[columns] = row;
        let mut column = columns;
        let mut slack = vec![i64::MAX; columns];
        let mut used = vec![false; columns + 1];
        loop {
            used[column] = true;
            let here = row_of[column];
            let (mut least, mut next) = (i64::MAX, columns);
            for other in 0..columns {
                if used[other] {
                    continue;
                }
                let reduced = cost(here, other) - potential_row[here] - potential_column[other];
                if reduced < slack[other] {
                    slack[other] = reduced;
                    came_from[other] = column;
                }
                if slack[other] < least {
                    (least, next) = (slack[other], other);
                }
            }
            for other in 0..=columns {
                if used[other] {
                    potential_row[row_of[other]] += least;
                    potential_column[other] -= least;
                } else if other < columns {
                    slack[other] -= least;
                }
            }
            column = next;
            if row_of[column] == FREE {
                break;
            }
        }
        // Shift every row along the path by one column.
        while column != columns {
            let previous = came_from[column];
            row_of[column] = row_of[previous];
            column = previous;
        }
    }
    let mut answer = vec![FREE; rows];
    for column in 0..columns {
        if row_of[column] != FREE {
            answer[row_of[column]] = column;
        }
    }
    answer
}

/// [`assign`] where a row knows few columns: `known[row]` holds columns and costs. `None` if some row cannot have a column of its own.
/// Deterministic. A search ends at the first column that is free, so that with columns in plenty a row costs little more than its own list.
///
/// Source: as above; the search is Dijkstra's over reduced costs, after Edmonds and Karp (1972).
///
/// # Panics
/// If a column's number is not below `columns`. Costs and their sums must stay within `i64`.
#[must_use]
pub fn assign_sparse(columns: usize, known: &[Vec<(usize, i64)>]) -> Option<Vec<usize>> {
    let mut row_of = vec![FREE; columns];
    let mut answer = vec![FREE; known.len()];
    let (mut potential_row, mut potential_column) = (vec![0_i64; known.len()], vec![0_i64; columns]);
    let mut distance = vec![i64::MAX; columns];
    let mut came_from = vec![FREE; columns];
    let mut seen: Vec<usize> = Vec::new();
    for root in 0..known.len() {
        potential_row[root] = known[root].iter().map(|(column, cost)| cost - potential_column[*column]).min()?;
        let mut waiting = BinaryHeap::new();
        let mut done: Vec<usize> = Vec::new();
        let (mut row, mut so_far) = (root, 0);
        let end = loop {
            for (column, cost) in &known[row] {
                let there = so_far + cost - potential_row[row] - potential_column[*column];
                if there < distance[*column] {
                    if distance[*column] == i64::MAX {
                        seen.push(*column);
                    }
                    distance[*column] = there;
                    came_from[*column] = row;
                    waiting.push(Reverse((there, *column)));
                }
            }
            let (column, at) = loop {
                let Reverse((at, column)) = waiting.pop()?;
                if at == distance[column] {
                    break (column, at);
                }
            };
            so_far = at;
            if row_of[column] == FREE {
                break column;
            }
            done.push(column);
            row = row_of[column];
        };
        for column in done {
            potential_column[column] += distance[column] - so_far;
            potential_row[row_of[column]] += so_far - distance[column];
        }
        potential_row[root] += so_far;
        // Shift every row along the path by one column.
        let mut column = end;
        loop {
            let row = came_from[column];
            row_of[column] = row;
            let previous = std::mem::replace(&mut answer[row], column);
            if row == root {
                break;
            }
            column = previous;
        }
        for column in seen.drain(..) {
            distance[column] = i64::MAX;
        }
    }
    Some(answer)
}
