from tests.support.fixtures import flyte_plane, object_store

__all__ = ["flyte_plane", "object_store"]
