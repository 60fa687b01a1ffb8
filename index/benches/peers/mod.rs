//! A city of points, and the plain grid that Medina's positions are measured beside.

use index::geo::{Fix, Point};
use std::collections::BinaryHeap;

const SOUTH: f64 = 33.43;
const WEST: f64 = -7.75;
const HEIGHT: f64 = 0.27; // 30 km
const WIDTH: f64 = 0.324; // 30 km at this latitude

/// A generator of our own, so that no crate's next version changes the input (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn point(&mut self) -> Point {
        Point::new(SOUTH + HEIGHT * self.next(), WEST + WIDTH * self.next()).unwrap()
    }
}

/// Metres in the plane from the south-west corner.
pub fn plane(point: Point) -> [f64; 2] {
    let metres = 111_195.08;
    [(point.lon() - WEST) * metres * 33.565_f64.to_radians().cos(), (point.lat() - SOUTH) * metres]
}

/// The plain grid: fixed cells, rings until ten are certain.
pub struct PlainGrid {
    side_m: f64,
    across: i64,
    cells: Vec<Vec<([f64; 2], u32)>>,
}

impl PlainGrid {
    pub fn new(points: &[[f64; 2]]) -> Self {
        let side_m = (30_100.0_f64 * 30_100.0 * 3.0 / points.len() as f64).sqrt().max(50.0);
        let across = (30_200.0 / side_m) as i64 + 1;
        let mut cells = vec![Vec::new(); (across * across) as usize];
        for (slot, point) in (0..).zip(points) {
            cells[((point[1] / side_m) as i64 * across + (point[0] / side_m) as i64) as usize].push((*point, slot));
        }
        Self { side_m, across, cells }
    }

    pub fn nearest(&self, from: [f64; 2], k: usize) -> Vec<(u64, u32)> {
        let (x, y) = ((from[0] / self.side_m) as i64, (from[1] / self.side_m) as i64);
        let mut best: BinaryHeap<(u64, u32)> = BinaryHeap::with_capacity(k + 1);
        for ring in 0..self.across {
            for (i, j) in (-ring..=ring).flat_map(|i| (-ring..=ring).map(move |j| (i, j))) {
                if i.abs().max(j.abs()) != ring || !(0..self.across).contains(&(x + i)) || !(0..self.across).contains(&(y + j)) {
                    continue;
                }
                for (point, slot) in &self.cells[((y + j) * self.across + x + i) as usize] {
                    let d2 = ((point[0] - from[0]).powi(2) + (point[1] - from[1]).powi(2)).to_bits();
                    if best.len() < k || best.peek().is_some_and(|worst| d2 < worst.0) {
                        best.push((d2, *slot));
                        if best.len() > k {
                            best.pop();
                        }
                    }
                }
            }
            let sure_m = ring as f64 * self.side_m;
            if best.len() == k && best.peek().is_some_and(|worst| f64::from_bits(worst.0) <= sure_m * sure_m) {
                break;
            }
        }
        best.into_sorted_vec()
    }
}

pub fn fix(point: Point, at_ms: i64) -> Fix {
    Fix { point, at_ms, heading_deg: None, speed_mps: Some(7.0), accuracy_m: Some(5.0) }
}
