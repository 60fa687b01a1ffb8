//! `medina serve`

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::config::Config;
use crate::app::{self, AppOptions};
use crate::edge::server::TlsFiles;

/// What `medina serve` is told; flags win over the file.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "MEDINA_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data folder.
    #[arg(long, env = "MEDINA_DATA_DIR")]
    pub data: Option<PathBuf>,
    /// Address and port.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Test clock, known one-time codes, play money.
    #[arg(long)]
    pub sandbox: bool,
    /// Lets a sandbox listen beyond loopback.
    #[arg(long)]
    pub force_public_sandbox: bool,
}

/// Where the data is if nobody says.
pub const DATA: &str = "data";
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Flags over file over defaults.
///
/// # Errors
/// What is wrong with the file.
pub fn options(args: &ServeArgs) -> Result<AppOptions, String> {
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|error| error.to_string())?,
        None => Config::default(),
    };
    Ok(AppOptions {
        data: Some(args.data.clone().or(config.data).unwrap_or_else(|| DATA.into())),
        listen: args.listen.or(config.listen).unwrap_or(LISTEN),
        sandbox: args.sandbox || config.sandbox,
        force_public_sandbox: args.force_public_sandbox,
        admin: None,
        tls: config.tls.map(|tls| TlsFiles { certificate: tls.certificate, key: tls.key }),
        metrics_public: config.metrics_public,
        backup: config.backup,
        history: config.history,
        sizes: config.storage,
        ledger_origin: config.ledger.and_then(|ledger| ledger.origin),
    })
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Why it did not start, in a sentence.
pub async fn run(args: ServeArgs) -> Result<ExitCode, String> {
    let app = app::start(options(&args)?).await.map_err(|error| error.to_string())?;
    let (url, data) = (app.base_url(), app.data().display().to_string());
    // Whoever started it may have stopped reading: that is no reason to stop serving.
    let _ = writeln!(
        std::io::stdout(),
        "medina serves {url} from {data}
the API: {url}/docs    first administrator: medina admin create --email YOU@EXAMPLE --data {data}"
    );
    wait_for_end().await;
    tracing::info!("stopping");
    app.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Returns at Ctrl-C or when the service manager says so.
pub async fn wait_for_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        () = terminated => (),
    }
}
