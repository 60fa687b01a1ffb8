//! The assignment problem, exactly.

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
    const FREE: usize = usize::MAX;
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
