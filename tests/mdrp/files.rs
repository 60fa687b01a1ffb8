//! Files that are good, and files that are bad where the error says.

use medina::mdrp::{Instance, ReadError, Solution};

use crate::{played, small};

const FILES: [(&str, &str); 4] = [
    ("orders.txt", "order\tx\ty\tplacement_time\trestaurant\tready_time\no1\t1\t2.5\t3\tr1\t4\n"),
    ("couriers.txt", "courier\tx\ty\ton_time\toff_time\nc1\t6\t7\t0\t240\n"),
    ("restaurants.txt", "restaurant\tx\ty\nr1\t8\t9\n"),
    (
        "instance_parameters.txt",
        "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\tmaximum click-to-door\tpay per order\tguaranteed pay per hour\n320\t4\t3\t40\t90\t10\t15.5\n",
    ),
];

fn read_with(file: &str, text: Option<&str>) -> Result<Instance, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        match text {
            Some(text) if name == file => std::fs::write(folder.path().join(name), text).unwrap(),
            None if name == file => (),
            Some(_) | None => std::fs::write(folder.path().join(name), content).unwrap(),
        }
    }
    Instance::read(folder.path())
}

#[test]
fn a_bad_cell_is_named() {
    let content = |file: &str| FILES.iter().find(|(name, _)| *name == file).unwrap().1;
    for (file, from, to, expected) in [
        ("orders.txt", "\t3\tr1", "\tnoon\tr1", "orders.txt, line 2, column placement_time: expected whole minutes, found \"noon\""),
        ("orders.txt", "\t4\n", "\t4.5\n", "orders.txt, line 2, column ready_time: expected whole minutes, found \"4.5\""),
        ("orders.txt", "r1", "r7", "orders.txt, line 2, column restaurant: expected an id of restaurants.txt, found \"r7\""),
        ("orders.txt", "2.5", "NaN", "orders.txt, line 2, column y: expected metres, found \"NaN\""),
        (
            "orders.txt",
            "o1\t",
            "o1 ",
            "orders.txt, line 2, column (the line): expected 6 cells, tab separated, found \"o1 1\\t2.5\\t3\\tr1\\t4\"",
        ),
        ("orders.txt", "ready_time", "ready", "orders.txt, line 1, column ready_time: expected this column in the header, found \"\""),
        ("orders.txt", "o1", "0", "orders.txt, line 2, column order: expected an id (one word, not 0), found \"0\""),
        ("orders.txt", "o1", "c1", "the id \"c1\" stands for two things"),
        (
            "couriers.txt",
            "0\t240",
            "250\t240",
            "couriers.txt, line 2, column off_time: expected whole minutes, not before on_time, found \"240\"",
        ),
        (
            "restaurants.txt",
            "r1\t8\t9\n",
            "r1\t8\t9\nr1\t1\t1\n",
            "restaurants.txt, line 3, column restaurant: expected an id that was not used before, found \"r1\"",
        ),
        (
            "instance_parameters.txt",
            "320",
            "0",
            "instance_parameters.txt, line 2, column meters_per_minute: expected metres a minute, above zero, found \"0\"",
        ),
        (
            "instance_parameters.txt",
            "15.5",
            "15.555",
            "instance_parameters.txt, line 2, column guaranteed pay per hour: expected an amount, not negative, at most two decimals, found \"15.555\"",
        ),
        (
            "instance_parameters.txt",
            "320\t4\t3\t40\t90\t10\t15.5\n",
            "",
            "instance_parameters.txt: expected one row under the header, found 0",
        ),
    ] {
        assert!(content(file).contains(from), "{from:?} is not in {file}");
        let error = read_with(file, Some(&content(file).replacen(from, to, 1))).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = read_with("couriers.txt", None).unwrap_err();
    assert!(matches!(&error, ReadError::Io { file, .. } if file.ends_with("couriers.txt")), "{error}");
}

#[test]
fn line_ends_and_blank_lines_do_not_matter() {
    let plain = read_with("orders.txt", Some(FILES[0].1)).unwrap();
    assert_eq!(plain.parameters.pay_per_hour_cents, 1550);
    assert_eq!((plain.orders[0].placed_s, plain.orders[0].at.y), (180, 2.5));
    for text in [FILES[0].1.replace('\n', "\r\n"), format!("\u{feff}{}\n\n \n", FILES[0].1), FILES[0].1.trim_end().to_owned()] {
        assert_eq!(read_with("orders.txt", Some(&text)).unwrap().orders, plain.orders, "{text:?}");
    }
}

#[test]
fn a_bad_cell_of_a_solution_is_named() {
    for (file, text, expected) in [
        ("solution_info_assignments.txt", "h\n1 2 c1\n", "line 2, column orders: expected a value, found \"\""),
        (
            "solution_info_orders.txt",
            "h\n\no1 1 2 3 soon c1\n",
            "line 3, column dropoff_time: expected minutes (a whole number of seconds), found \"soon\"",
        ),
        (
            "solution_info_couriers.txt",
            "h\nc1 1.3333 0 r1\nc1 1.3 r1 o1\nc1 1.31 o1 r1\n",
            "line 4, column departure_time: expected minutes (a whole number of seconds), found \"1.31\"",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        played(&small()).write(folder.path()).unwrap();
        std::fs::write(folder.path().join(file), text).unwrap();
        assert_eq!(Solution::read(folder.path()).unwrap_err().to_string(), format!("{file}, {expected}"));
    }
    // What other tools write for an order that was not delivered.
    let folder = tempfile::tempdir().unwrap();
    let mut solution = played(&small());
    solution.write(folder.path()).unwrap();
    let file = folder.path().join("solution_info_orders.txt");
    let text = std::fs::read_to_string(&file).unwrap().replace("40 45 50.5 c1", "40 NA NA NA");
    std::fs::write(&file, text).unwrap();
    solution.orders.pop();
    assert_eq!(Solution::read(folder.path()).unwrap(), solution);
    // And for the place where a courier begins.
    let file = folder.path().join("solution_info_couriers.txt");
    let text = std::fs::read_to_string(&file).unwrap().replace("c1 12 0 r1", "c1\t12\tc1\tr1");
    std::fs::write(&file, text).unwrap();
    assert_eq!(Solution::read(folder.path()).unwrap(), solution);
}
