//! `medina admin create`: before or while the server runs.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::control::{self, Ask};
use crate::app::{self, AdminCredentials, AppOptions};

/// `medina admin …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AdminVerb {
    /// Makes an administrator and prints a one-time password.
    Create(CreateArgs),
}

/// What `medina admin create` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct CreateArgs {
    #[arg(long)]
    pub email: String,
    /// Data folder.
    #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
    pub data: PathBuf,
    /// One JSON object: {"email", "password"}.
    #[arg(long)]
    pub json: bool,
    /// The folder is (or becomes) a sandbox's.
    #[arg(long)]
    pub sandbox: bool,
}

/// Runs the verb.
///
/// # Errors
/// Why not, in a sentence.
pub async fn run(verb: AdminVerb) -> Result<ExitCode, String> {
    let AdminVerb::Create(args) = verb;
    let made = create(&args).await?;
    if args.json {
        println!("{}", serde_json::json!(made));
    } else {
        println!("administrator {}\none-time password {}", made.email, made.password);
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: &CreateArgs) -> Result<AdminCredentials, String> {
    let asked = control::ask(&args.data, &Ask::AdminCreate { email: args.email.clone() }).await?;
    if let Some(made) = asked {
        return serde_json::from_value(made).map_err(|error| error.to_string());
    }
    // No server has the folder: open it, on a port that nobody knows, just for this.
    let sandbox = args.sandbox || std::fs::read_to_string(args.data.join("mode")).is_ok_and(|mode| mode.trim() == "sandbox");
    let options = AppOptions { data: Some(args.data.clone()), sandbox, admin: Some(args.email.clone()), ..AppOptions::default() };
    let app = app::start(options).await.map_err(|error| error.to_string())?;
    let made = app.admin().cloned().ok_or("no administrator was made")?;
    app.stop().await;
    Ok(made)
}
