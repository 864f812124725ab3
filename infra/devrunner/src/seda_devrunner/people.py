"""The demo people. Their passwords are printed, so they exist in development alone."""

from dataclasses import dataclass

from seda_testkit.client import Api, ApiError

DEMO_PASSWORD = "lanterns-over-water-7"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    handle: str
    name: str

    @property
    def email(self) -> str:
        return f"{self.handle}@demo.example"


ADMIN = DemoPerson("ada", "Ada")
LISTENERS = (
    DemoPerson("nina", "Nina"),
    DemoPerson("otto", "Otto"),
    DemoPerson("pilar", "Pilar"),
    DemoPerson("quentin", "Quentin"),
    DemoPerson("rosa", "Rosa"),
)


async def enter(api: Api, person: DemoPerson) -> Api:
    """Signed up, or signed in when they have been here before."""
    try:
        return await api.sign_up(person.email, DEMO_PASSWORD, person.name)
    except ApiError as error:
        if error.status != 409:
            raise
    return await api.log_in(person.email, DEMO_PASSWORD)


async def enter_as_admin(api: Api, admin_api_key: str) -> Api:
    """The first SUPER_ADMIN, made with the operator's key; later starts find it made."""
    admin = await enter(api, ADMIN)
    try:
        await admin.post("/auth/bootstrap", {"admin_api_key": admin_api_key})
    except ApiError as error:
        if error.status != 409:
            raise
    return await admin.refresh()
