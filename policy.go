package makerguard

import "time"

// PolicyDocument is a version of the policy that every node puts in force.
type PolicyDocument struct {
	Version   int64 // counts up from 1; 0 is none
	Source    []byte
	UpdatedAt time.Time
	UpdatedBy MemberID
}
