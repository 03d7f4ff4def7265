package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/makerguard/makerguard"
)

// The documents of the collection settings: the policy, and the rules of a manufacturer,
// whose id follows the prefix, or of the installation, when none does.
const (
	policyID    = "policy"
	rulesPrefix = "rules:"
)

// settingDoc is what all of them have.
type settingDoc struct {
	Version   int64               `bson:"version"`
	UpdatedAt time.Time           `bson:"updated_at"`
	UpdatedBy makerguard.MemberID `bson:"updated_by"`
}

// policyDoc is the policy in force.
type policyDoc struct {
	Version   int64               `bson:"version"`
	Source    []byte              `bson:"source"`
	UpdatedAt time.Time           `bson:"updated_at"`
	UpdatedBy makerguard.MemberID `bson:"updated_by"`
}

// Policy implements rbac.Store.
func (s *Store) Policy(ctx context.Context) (makerguard.PolicyDocument, error) {
	var d policyDoc
	if err := s.setting(ctx, policyID, &d); err != nil {
		return makerguard.PolicyDocument{}, storeError("reading the policy", err)
	}
	return makerguard.PolicyDocument(d), nil
}

// PutPolicy implements rbac.Store.
func (s *Store) PutPolicy(ctx context.Context, p makerguard.PolicyDocument) error {
	return storeError("storing the policy", s.putSetting(ctx, policyID, p.Version, policyDoc(p)))
}

// setting reads a document of settings; it leaves doc as it is if there is none.
func (s *Store) setting(ctx context.Context, id string, doc any) error {
	err := s.collection(settings).FindOne(ctx, bson.M{"_id": id}).Decode(doc)
	if noDocument(err) {
		return nil
	}
	return err
}

// putSetting replaces the document whose version is the one before.
func (s *Store) putSetting(ctx context.Context, id string, version int64, doc any) error {
	const meanwhile = "Somebody else changed it meanwhile: read it again and repeat your change."
	if version < 1 {
		return conflict(meanwhile)
	}
	// The first version is inserted, which fails if there is any.
	res, err := s.collection(settings).UpdateOne(ctx,
		bson.M{"_id": id, "version": version - 1},
		bson.M{"$set": doc, "$currentDate": touch},
		options.UpdateOne().SetUpsert(version == 1))
	if duplicate(err) || err == nil && res.MatchedCount+res.UpsertedCount == 0 {
		return conflict(meanwhile)
	}
	return err
}
