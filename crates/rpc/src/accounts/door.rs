//! The service over an `AccountService`: checks the request, asks, answers.

use std::sync::Arc;

use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use volery_ports::account_service::AccountService;

use super::convert;
use super::failure::of_account;
use crate::check;
use crate::limits::{ANSWER_BYTES, REQUEST_BYTES};
use crate::refusal::of_unavailable;
use crate::wire::account::v1 as wire;
use crate::wire::account::v1::accounts_server::{self, AccountsServer};
use crate::wire::account::v1::failure::Kind;

/// The service's name in its contract.
pub(crate) const NAME: &str = <AccountsServer<Door> as NamedService>::NAME;

pub(crate) struct Door(Arc<dyn AccountService>);

type Answered<T> = Result<Response<T>, Status>;

pub(crate) fn door(accounts: Arc<dyn AccountService>) -> AccountsServer<Door> {
    AccountsServer::new(Door(accounts)).max_decoding_message_size(REQUEST_BYTES).max_encoding_message_size(ANSWER_BYTES)
}

#[tonic::async_trait]
impl accounts_server::Accounts for Door {
    async fn standing(&self, request: Request<wire::StandingRequest>) -> Answered<wire::StandingAnswer> {
        let device = check::device("device", request.into_inner().device)?;
        let standing = self.0.standing(device).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(convert::standing(standing)))
    }

    async fn revoked_after(&self, request: Request<wire::RevokedAfterRequest>) -> Answered<wire::RevokedAfterAnswer> {
        let wire::RevokedAfterRequest { after, limit } = request.into_inner();
        let (after, limit) = (check::there("after", after)?, check::limit("limit", limit)?);
        let revoked = self.0.revoked_after(after, limit).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(convert::revoked(revoked)))
    }

    async fn newest_revocation(
        &self,
        _: Request<wire::NewestRevocationRequest>,
    ) -> Answered<wire::NewestRevocationAnswer> {
        let number = self.0.newest_revocation().await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(wire::NewestRevocationAnswer { number }))
    }

    async fn user_exists(&self, request: Request<wire::UserExistsRequest>) -> Answered<wire::UserExistsAnswer> {
        let user = check::user("user", request.into_inner().user)?;
        let exists = self.0.is_user(user).await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(wire::UserExistsAnswer { exists }))
    }

    async fn register(&self, request: Request<wire::RegisterRequest>) -> Answered<wire::User> {
        let registration = convert::to_registration(request.into_inner());
        let user = self.0.register(registration).await.map_err(of_account)?;
        Ok(Response::new(convert::user(user)))
    }

    async fn log_in(&self, request: Request<wire::LogInRequest>) -> Answered<wire::Grant> {
        let log_in = convert::to_log_in(request.into_inner());
        let grant = self.0.log_in(log_in).await.map_err(of_account)?;
        Ok(Response::new(convert::grant(grant)))
    }

    async fn refresh(&self, request: Request<wire::RefreshRequest>) -> Answered<wire::Grant> {
        let grant = self.0.refresh(&request.into_inner().refresh_token).await.map_err(of_account)?;
        Ok(Response::new(convert::grant(grant)))
    }

    async fn revoke(&self, request: Request<wire::RevokeRequest>) -> Answered<wire::RevokeAnswer> {
        let wire::RevokeRequest { caller, device } = request.into_inner();
        let (caller, device) = (convert::to_caller(caller)?, check::device("device", device)?);
        let told = self.0.revoke(caller, device).await.map_err(of_account)?;
        Ok(Response::new(convert::told(told)))
    }

    async fn devices(&self, request: Request<wire::DevicesRequest>) -> Answered<wire::DevicesAnswer> {
        let caller = convert::to_caller(request.into_inner().caller)?;
        let devices = self.0.devices(caller).await.map_err(of_account)?;
        Ok(Response::new(wire::DevicesAnswer { devices: devices.into_iter().map(convert::device).collect() }))
    }

    async fn find_users(&self, request: Request<wire::FindUsersRequest>) -> Answered<wire::UsersAnswer> {
        let wire::FindUsersRequest { part, limit } = request.into_inner();
        let limit = check::limit("limit", limit)?;
        let users = self.0.find_users(&part, limit).await.map_err(of_account)?;
        Ok(Response::new(convert::users(users)))
    }

    async fn users(&self, request: Request<wire::UsersRequest>) -> Answered<wire::UsersAnswer> {
        let ids = convert::to_ids(request.get_ref())?;
        let users = self.0.users(&ids).await.map_err(of_account)?;
        Ok(Response::new(convert::users(users)))
    }

    async fn user_by_name(&self, request: Request<wire::UserByNameRequest>) -> Answered<wire::UserByNameAnswer> {
        let user = self.0.user_by_name(&request.into_inner().user_name).await.map_err(of_account)?;
        Ok(Response::new(wire::UserByNameAnswer { user: user.map(convert::user) }))
    }

    async fn keys(&self, _: Request<wire::KeysRequest>) -> Answered<wire::KeysAnswer> {
        let jwks = self.0.keys().await.map_err(of_unavailable::<Kind>)?;
        Ok(Response::new(wire::KeysAnswer { jwks }))
    }
}
