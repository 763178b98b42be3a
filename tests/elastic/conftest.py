from tests.support.plane_fixtures import flyte_plane, object_store

__all__ = ["flyte_plane", "object_store"]
