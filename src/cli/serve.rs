//! `medina serve`

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::config::Config;
use crate::app::{self, AppOptions, StartError};
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
    let data = args.data.clone().or(config.data).unwrap_or_else(|| DATA.into());
    Ok(AppOptions {
        travel: config.travel.provider(&data)?,
        data: Some(data),
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
        replication: config.replication.map(super::config::Replication::options),
        policy: config.policy,
        leanings: config.dispatch,
        couriers: config.couriers,
    })
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Why it did not start, in a sentence.
pub async fn run(args: ServeArgs) -> Result<ExitCode, String> {
    serve(options(&args)?).await
}

/// The same, with everything decided. A node that takes another role begins anew: the same process, the same arguments.
///
/// # Errors
/// Why it did not start, in a sentence.
pub async fn serve(options: AppOptions) -> Result<ExitCode, String> {
    let app = match app::start(options).await {
        Ok(app) => app,
        Err(error @ StartError::Superseded(_)) => return Err(begin_anew(&error.to_string())),
        Err(error) => return Err(error.to_string()),
    };
    let (url, data) = (app.base_url(), app.data().display().to_string());
    let part = if app.engine().is_following() { "follows and serves" } else { "serves" };
    // Whoever started it may have stopped reading: that is no reason to stop serving.
    let _ = writeln!(
        std::io::stdout(),
        "medina {part} {url} from {data}
the API: {url}/docs    first administrator: medina admin create --email YOU@EXAMPLE --data {data}"
    );
    let turned = tokio::select! {
        () = wait_for_end() => None,
        why = app.turned() => Some(why),
    };
    tracing::info!("stopping");
    app.stop().await;
    match turned {
        None => Ok(ExitCode::SUCCESS),
        Some(why) => Err(begin_anew(&why)),
    }
}

/// Replaces this process by a fresh one; returns only if that failed, with the reason.
fn begin_anew(why: &str) -> String {
    use std::os::unix::process::CommandExt;
    tracing::warn!(why, "beginning anew");
    match std::env::current_exe() {
        Ok(own) => {
            let error = std::process::Command::new(own).args(std::env::args_os().skip(1)).exec();
            format!("{why}; it could not begin anew: {error}. Start it again")
        }
        Err(error) => format!("{why}; it could not begin anew: {error}. Start it again"),
    }
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
