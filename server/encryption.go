package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/api"
	"github.com/makerguard/makerguard/envelope"
)

func (s *Server) encryptionRoutes() {
	tag := "encryption"
	handle(s, operation{method: "POST", path: "/v1/encryption/encrypt", tag: tag, summary: "Seal data under your own key", maxBody: largeBody, access: with(makerguard.UseEncryption)}, s.encrypt)
	handle(s, operation{method: "POST", path: "/v1/encryption/decrypt", tag: tag, summary: "Open sealed data", maxBody: sealedBody, access: with(makerguard.UseEncryption)}, s.decrypt)
	tag = "vault"
	handle(s, operation{method: "PUT", path: "/v1/vault/{name}", tag: tag, summary: "Seal a business record", maxBody: largeBody, access: with(makerguard.UseVault)}, s.putRecord)
	handle(s, operation{method: "GET", path: "/v1/vault/{name}", tag: tag, summary: "Open a business record", access: with(makerguard.UseVault)}, s.getRecord)
	handle(s, operation{method: "DELETE", path: "/v1/vault/{name}", tag: tag, summary: "Delete a business record", status: http.StatusNoContent, access: with(makerguard.UseVault)}, s.deleteRecord)
	handle(s, operation{method: "GET", path: "/v1/vault", tag: tag, summary: "List business records, without their data", access: with(makerguard.UseVault)}, s.listRecords)
}

// sealRecord keeps what callers seal apart from what makerguard seals for itself under
// the same key: a caller cannot name a TOTP seed's or a vault record's place.
func sealRecord(c api.SealContext) string { return "api:" + c.Record }

func (s *Server) encrypt(ctx context.Context, c call, in *body[api.EncryptRequest]) (*body[api.EncryptResponse], error) {
	blob, version, err := s.guard.Keyring.Seal(ctx, c.principal.ManufacturerID, sealRecord(in.Body.Context), in.Body.Context.Field, in.Body.Data)
	if err != nil {
		return nil, err
	}
	return &body[api.EncryptResponse]{api.EncryptResponse{
		Ciphertext: base64.StdEncoding.EncodeToString(blob), KeyVersion: version, Algorithm: envelope.Algorithm, CreatedAt: s.now().UTC(),
	}}, nil
}

func (s *Server) decrypt(ctx context.Context, c call, in *body[api.DecryptRequest]) (*body[api.DecryptResponse], error) {
	blob, err := base64.StdEncoding.Strict().DecodeString(in.Body.Ciphertext)
	if err != nil {
		blob = nil // opens as nothing: the same answer as for any other blob that is not ours
	}
	data, version, err := s.guard.Keyring.Open(ctx, c.principal.ManufacturerID, sealRecord(in.Body.Context), in.Body.Context.Field, blob)
	if err != nil {
		return nil, err
	}
	return &body[api.DecryptResponse]{api.DecryptResponse{Data: json.RawMessage(data), KeyVersion: version}}, nil
}

// RecordPath is the path parameter of the vault's operations. It is exported because huma looks
// into no other embedded type.
type RecordPath struct {
	Name string `path:"name" maxLength:"128" pattern:"^[a-z0-9][a-z0-9._-]{0,127}$"`
}

func vaultRecord(r makerguard.VaultRecord, data []byte) api.VaultRecord {
	return api.VaultRecord{Name: r.Name, Data: data, KeyVersion: r.KeyVersion, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

func (s *Server) putRecord(ctx context.Context, c call, in *struct {
	RecordPath
	Body api.VaultPutRequest
},
) (*body[api.VaultRecord], error) {
	r, _, err := s.guard.Vault.Put(ctx, c.principal, in.Name, in.Body.Data, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.VaultRecord]{vaultRecord(r, nil)}, nil
}

func (s *Server) getRecord(ctx context.Context, c call, in *RecordPath) (*body[api.VaultRecord], error) {
	data, r, err := s.guard.Vault.Get(ctx, c.principal, in.Name, c.client)
	if err != nil {
		return nil, err
	}
	return &body[api.VaultRecord]{vaultRecord(r, data)}, nil
}

func (s *Server) deleteRecord(ctx context.Context, c call, in *RecordPath) (*none, error) {
	return nil, s.guard.Vault.Delete(ctx, c.principal, in.Name, c.client)
}

func (s *Server) listRecords(ctx context.Context, c call, in *struct {
	Cursor string `query:"cursor" maxLength:"128"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
},
) (*body[api.VaultList], error) {
	rs, err := s.guard.Vault.List(ctx, c.principal, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := api.VaultList{Records: make([]api.VaultRecord, 0, len(rs))}
	for _, r := range rs {
		out.Records = append(out.Records, vaultRecord(r, nil))
	}
	if len(rs) == in.Limit {
		out.NextCursor = rs[len(rs)-1].Name
	}
	return &body[api.VaultList]{out}, nil
}
