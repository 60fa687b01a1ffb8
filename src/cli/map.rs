//! `medina map …`: the road graph beside the data.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use index::roads::{Mode, RoadMap};

use crate::city::travel::MAP_FILE;

/// `medina map …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum MapVerb {
    /// Makes the road graph from an OpenStreetMap extract (.osm.pbf); `[travel] provider = "map"` in the configuration uses it at the next start.
    Import {
        file: PathBuf,
        /// Data folder.
        #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
        data: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
/// What is wrong with the file or the folder.
pub fn run(verb: &MapVerb) -> Result<ExitCode, String> {
    let MapVerb::Import { file, data, json } = verb;
    let started = Instant::now();
    let map = RoadMap::import(file).map_err(|error| format!("{}: {error}", file.display()))?;
    std::fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let path = data.join(MAP_FILE);
    map.save(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let seconds = started.elapsed().as_secs_f64();
    if *json {
        let sizes = Mode::ALL.map(|mode| (format!("{mode:?}").to_lowercase(), serde_json::json!(map.size(mode).0)));
        println!("{}", serde_json::json!({ "file": path, "seconds": seconds, "nodes": serde_json::Map::from_iter(sizes) }));
    } else {
        println!("{} made in {seconds:.1} s (places and streets with shortcuts)", path.display());
        for mode in Mode::ALL {
            let (nodes, arcs) = map.size(mode);
            println!("{:>10}: {nodes} places, {arcs} streets", format!("{mode:?}").to_lowercase());
        }
    }
    Ok(ExitCode::SUCCESS)
}
