drop trigger forget_faces on core.consents;
drop trigger forget_faces_before on core.consents;
drop function core.forget_faces();
drop table core.face_embeddings, core.memory_collection_items, core.memory_collections, core.embedding_leases,
    core.memory_embeddings, core.memories, core.embedding_models;
drop function core.require_biometrics(), core.want_embeddings(), core.have_embeddings(), core.drop_corrected();
