package mongo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/makerguard/makerguard"
	"github.com/makerguard/makerguard/internal/id"
	"github.com/makerguard/makerguard/store/mongo"
)

// ledgerShapes are the queries of the ledger that are not by _id alone, as the methods
// send them, and the index that each must use.
var ledgerShapes = []struct {
	name       string
	collection string
	filter     bson.M
	sort       bson.D
	index      string
}{
	{"Threats of a manufacturer", "threats", mongo.ThreatQuery(makerguard.ThreatFilter{ManufacturerID: "mfr_a"}), mongo.By("-_id"), "history"},
	{
		"Threats of a manufacturer, next page", "threats",
		mongo.ThreatQuery(makerguard.ThreatFilter{ManufacturerID: "mfr_a", Before: "evt_ff", Severity: makerguard.SeverityHigh}), mongo.By("-_id"), "history",
	},
	{
		"Threats of a manufacturer with a text", "threats",
		mongo.ThreatQuery(makerguard.ThreatFilter{ManufacturerID: "mfr_a", Text: "or 1=1"}), mongo.By("-_id"), "history",
	},
	{"Threats of all", "threats", mongo.ThreatQuery(makerguard.ThreatFilter{AllTenants: true, Before: "evt_ff"}), mongo.By("-_id"), "_id_"},
	{"Threats from an address", "threats", mongo.ThreatQuery(makerguard.ThreatFilter{AllTenants: true, IP: "192.0.2.7"}), mongo.By("-_id"), "address"},
	{"Threats of a rule", "threats", mongo.ThreatQuery(makerguard.ThreatFilter{AllTenants: true, Rule: "rule-7"}), mongo.By("-_id"), "rule"},
	{"Threats of a request", "threats", mongo.ThreatQuery(makerguard.ThreatFilter{AllTenants: true, RequestID: "req_7"}), mongo.By("-_id"), "request"},
	{"CountThreats", "threats", bson.M{"manufacturer_id": "mfr_a", "detected_at": bson.M{"$gte": ledgerNow}}, nil, "counted"},
	{"DeleteThreats", "threats", bson.M{"detected_at": bson.M{"$lt": ledgerNow}}, mongo.By("detected_at"), "age"},
	{"AuditEntries", "audit_entries", bson.M{"manufacturer_id": "mfr_a", "seq": bson.M{"$lt": 500}}, mongo.By("-seq"), "chain"},
	{"Keys", "keys", bson.M{"manufacturer_id": "mfr_a", "purpose": "data"}, mongo.By("version"), "versions"},
	{"Records", "vault_records", bson.M{"manufacturer_id": "mfr_a", "name": bson.M{"$gt": "m"}}, mongo.By("name"), "names"},
	{"Blocks", "blocks", mongo.InForce(ledgerNow), mongo.By("-created_at", "-id"), "in_force"},
	{"LiftBlock", "blocks", bson.M{"id": "blk_1", "lifted_at": time.Time{}}, nil, "id"},
	{"Scores", "scores", bson.M{"manufacturer_id": "mfr_a", "day": bson.M{"$gte": ledgerNow}}, mongo.By("day"), "days"},
	{"ClaimJob", "jobs", bson.M{"state": "running", "lease_until": bson.M{"$lt": ledgerNow}}, mongo.By("created_at", "_id"), "waiting"},
}

func TestExplain_LedgerUsesItsIndexes(t *testing.T) {
	s := newStore(t)
	var many []makerguard.Threat
	for i := range 3000 {
		many = append(many, makerguard.Threat{
			ID: makerguard.EventID(id.New("evt")), ManufacturerID: makerguard.ManufacturerID(fmt.Sprint("mfr_", i%50)), IP: fmt.Sprint("192.0.2.", i%100),
			RequestID: fmt.Sprint("req_", i), DetectedAt: ledgerNow.Add(-time.Duration(i) * time.Minute), Finding: makerguard.Finding{Rule: fmt.Sprint("rule-", i%40), Input: "q"},
		})
	}
	if err := s.AppendThreats(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	for _, shape := range ledgerShapes {
		find := bson.D{{Key: "find", Value: shape.collection}, {Key: "filter", Value: shape.filter}, {Key: "limit", Value: 100}}
		if shape.sort != nil {
			find = append(find, bson.E{Key: "sort", Value: shape.sort})
		}
		var plan bson.D
		err := s.Database().RunCommand(t.Context(), bson.D{{Key: "explain", Value: find}}).Decode(&plan)
		if err != nil {
			t.Errorf("%s: explain: %v", shape.name, err)
			continue
		}
		text, err := bson.MarshalExtJSON(plan, false, false)
		if err != nil {
			t.Fatal(err)
		}
		if !usesIndex(string(text), shape.index) {
			t.Errorf("%s does not use the index %s:\n%s", shape.name, shape.index, text)
		}
	}
}

// usesIndex reads a plan as MongoDB tells it, or as PostgreSQL does below FerretDB, which
// also names the indexes that it did not use.
func usesIndex(plan, index string) bool {
	name := "indexName"
	if strings.Contains(plan, "Node Type") {
		name = "Index Name"
	}
	return !strings.Contains(plan, "COLLSCAN") && !strings.Contains(plan, "Seq Scan") && strings.Contains(plan, fmt.Sprintf("%q:%q", name, index))
}
