from tests.support.plane_fixtures import object_store

__all__ = ["object_store"]
